/* SPDX-License-Identifier: MIT */
/* The file is read, not mapped: it may be cut while we look. Every number in it is suspect: offsets
 * may overflow, and only lead to a read that fails; what costs time is bounded. */
#include "os/elf.h"

#include <stdint.h>
#include <string.h>
#include <unistd.h>

#define SECTIONS_MOST 4096
#define SYMBOLS_MOST  (UINT64_C(4) << 20)
#define AT_ONCE       256 /* symbols, per read */
#define HEADERS_MOST  64

/* Whether the file has all these bytes. */
static bool read_at(int fd, void *to, size_t bytes, uint64_t offset)
{
    size_t got = 0;
    if (offset > INT64_MAX - bytes)
        return false;
    while (got < bytes) {
        ssize_t n = pread(fd, (char *)to + got, bytes - got, (off_t)(offset + got));
        if (n <= 0)
            return false;
        got += (size_t)n;
    }
    return true;
}

static bool read_header(int fd, ElfW(Ehdr) * header)
{
    static const unsigned char class = sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32;
    return read_at(fd, header, sizeof *header, 0) &&
           memcmp(header->e_ident, ELFMAG, SELFMAG) == 0 && header->e_ident[EI_CLASS] == class;
}

bool mp__elf_is(int fd, const ElfW(Phdr) * loaded, size_t count)
{
    ElfW(Ehdr) header;
    ElfW(Phdr) there[HEADERS_MOST];
    return count <= HEADERS_MOST && read_header(fd, &header) && header.e_phnum == count &&
           header.e_phentsize == sizeof *there &&
           read_at(fd, there, count * sizeof *there, header.e_phoff) &&
           memcmp(there, loaded, count * sizeof *there) == 0;
}

static bool read_section(int fd, const ElfW(Ehdr) * header, size_t number, ElfW(Shdr) * section)
{
    return number < header->e_shnum && header->e_shoff < INT64_MAX / 2 &&
           read_at(fd, section, sizeof *section, header->e_shoff + number * sizeof *section);
}

/* The symbol table and the section of its names. */
static bool find_tables(int fd, ElfW(Shdr) * symbols, ElfW(Shdr) * names)
{
    ElfW(Ehdr) header;
    if (!read_header(fd, &header) || header.e_shentsize != sizeof *symbols)
        return false;
    for (size_t i = 0; i < header.e_shnum && i < SECTIONS_MOST; i++) {
        if (!read_section(fd, &header, i, symbols))
            return false;
        if (symbols->sh_type == SHT_SYMTAB)
            return symbols->sh_entsize == sizeof(ElfW(Sym)) &&
                   read_section(fd, &header, symbols->sh_link, names) &&
                   names->sh_type == SHT_STRTAB;
    }
    return false;
}

/* ELF32_ST_TYPE() and ELF64_ST_TYPE() are the same. */
static bool has(const ElfW(Sym) * s, ElfW(Addr) address)
{
    return ELF64_ST_TYPE(s->st_info) == STT_FUNC && s->st_shndx != SHN_UNDEF &&
           address >= s->st_value && address - s->st_value < s->st_size;
}

static bool find_symbol(int fd, const ElfW(Shdr) * table, ElfW(Addr) address, ElfW(Sym) * found)
{
    ElfW(Sym) some[AT_ONCE];
    uint64_t count = table->sh_size / sizeof *some;
    if (count > SYMBOLS_MOST)
        count = SYMBOLS_MOST;
    for (uint64_t i = 0; i < count; i += AT_ONCE) {
        size_t n = count - i < AT_ONCE ? (size_t)(count - i) : AT_ONCE;
        if (table->sh_offset > INT64_MAX / 2 ||
            !read_at(fd, some, n * sizeof *some, table->sh_offset + i * sizeof *some))
            return false;
        for (size_t k = 0; k < n; k++)
            if (has(&some[k], address)) {
                *found = some[k];
                return true;
            }
    }
    return false;
}

/* Its last byte may be the file's: as much is read as there is. */
static bool read_name(int fd, const ElfW(Shdr) * names, size_t at, char *name, size_t size)
{
    if (at >= names->sh_size || names->sh_offset > INT64_MAX / 2)
        return false;
    size_t most = names->sh_size - at < size - 1 ? (size_t)(names->sh_size - at) : size - 1;
    if (!read_at(fd, name, most, names->sh_offset + at))
        return false;
    name[most] = '\0';
    for (char *c = name; *c != '\0'; c++)
        if ((unsigned char)*c < ' ' || *c == 127)
            return false;
    return name[0] != '\0';
}

bool mp__elf_function(int fd, ElfW(Addr) address, char *name, size_t size, ElfW(Addr) * start)
{
    ElfW(Shdr) symbols, names;
    ElfW(Sym) symbol;
    if (!find_tables(fd, &symbols, &names) || !find_symbol(fd, &symbols, address, &symbol) ||
        !read_name(fd, &names, symbol.st_name, name, size))
        return false;
    *start = symbol.st_value;
    return true;
}
