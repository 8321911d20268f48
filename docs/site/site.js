// SPDX-License-Identifier: MIT
// What a page does by itself: theme, menu on small screens, search, copy buttons, contents.
"use strict";

(function () {
    const byId = (id) => document.getElementById(id);

    // The theme, by doxygen-awesome, also from the keyboard.
    const theme = byId("theme");
    theme.updateIcon();
    theme.addEventListener("keydown", (event) => {
        if (event.key === "Enter" || event.key === " ") {
            event.preventDefault();
            theme.toggleDarkMode();
        }
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => theme.updateIcon());

    // The menu: on small screens behind a button.
    const button = byId("menu-button");
    function showMenu(shown) {
        document.body.classList.toggle("menu-open", shown);
        button.setAttribute("aria-expanded", String(shown));
    }
    button.addEventListener("click", () => showMenu(!document.body.classList.contains("menu-open")));
    const current = document.querySelector("#menu [aria-current]");
    if (current) {
        const menu = byId("menu");
        menu.scrollTop = current.offsetTop - menu.clientHeight / 2;
    }

    // The search: every name, and every page and section that holds all words that were typed.
    const field = byId("search");
    const list = byId("results");
    const MOST = 30;
    let chosen = -1;

    // How well an entry fits; 0: not at all.
    function rank(entry, words) {
        const name = entry[0].toLowerCase();
        const all = (name + " " + entry[3] + " " + entry[4]).toLowerCase();
        let sum = 0;
        for (const word of words) {
            const at = name.indexOf(word);
            if (name === word)
                sum += 100;
            else if (name === "mp_" + word || name === word + "()")
                sum += 90;
            else if (at === 0)
                sum += 60;
            else if (at > 0)
                sum += /[a-z0-9]/.test(name[at - 1]) ? 25 : 40;
            else if (all.includes(word))
                sum += 5;
            else if (entry[5].includes(" " + word))
                sum += 2;
            else
                return 0;
        }
        // Words that are parts of one name, in order: "queue put" is mp_queue_put.
        if (words.length > 1 && name.replace(/^mp_/, "").startsWith(words.join("_").replace(/^mp_/, "")))
            sum += name.endsWith(words[words.length - 1]) ? 120 : 60;
        const kinds = { page: 8, reference: 8, function: 6, macro: 5, structure: 3, type: 2, section: 2 };
        const late = /^(changelog|decisions|design|pains)/.test(entry[1]) ? 4 : 0;
        return sum + (kinds[entry[2]] || 0) - late - name.length / 50;
    }

    function part(className, text) {
        const span = document.createElement("span");
        span.className = className;
        span.textContent = text;
        return span;
    }

    function choose(index) {
        const items = list.querySelectorAll("li[role=option]");
        if (items[chosen])
            items[chosen].removeAttribute("aria-selected");
        chosen = items.length ? (index + items.length) % items.length : -1;
        if (chosen < 0)
            return;
        items[chosen].setAttribute("aria-selected", "true");
        items[chosen].scrollIntoView({ block: "nearest" });
        field.setAttribute("aria-activedescendant", items[chosen].id);
    }

    function show(shown) {
        list.hidden = !shown;
        field.setAttribute("aria-expanded", String(shown));
        if (!shown)
            field.removeAttribute("aria-activedescendant");
    }

    function search() {
        const typed = field.value.toLowerCase().replace(/\(\)/g, "").split(/\s+/).filter(Boolean);
        const telling = typed.filter((word) => !/^(a|an|and|do|does|for|how|i|in|is|of|the|to|what|when|with)$/.test(word));
        const words = telling.length ? telling : typed;
        list.textContent = "";
        chosen = -1;
        if (!words.length)
            return show(false);
        const found = SEARCH.map((entry) => [rank(entry, words), entry])
            .filter((pair) => pair[0] > 0)
            .sort((a, b) => b[0] - a[0] || (a[1][0] < b[1][0] ? -1 : 1))
            .slice(0, MOST);
        found.forEach(([, entry], i) => {
            const item = document.createElement("li");
            item.id = "result-" + i;
            item.setAttribute("role", "option");
            const a = document.createElement("a");
            a.href = entry[1];
            a.tabIndex = -1;
            a.append(part(/^\.?mp_|^MP_/i.test(entry[0]) ? "name code" : "name", entry[0]),
                     part("kind", entry[2] + (entry[3] ? " · " + entry[3] : "")));
            if (entry[4])
                a.append(part("brief", entry[4]));
            item.append(a);
            list.append(item);
        });
        if (!found.length) {
            const item = document.createElement("li");
            item.className = "none";
            item.textContent = "Nothing found";
            list.append(item);
        }
        show(true);
        choose(0);
    }

    field.addEventListener("input", search);
    field.addEventListener("focus", () => { if (field.value) search(); });
    field.addEventListener("keydown", (event) => {
        if (event.key === "ArrowDown" || event.key === "ArrowUp") {
            event.preventDefault();
            choose(chosen + (event.key === "ArrowDown" ? 1 : -1));
        } else if (event.key === "Enter") {
            const link = list.querySelector("[aria-selected] a");
            if (link && !list.hidden) {
                show(false);
                location.href = link.href;
            }
        } else if (event.key === "Escape") {
            show(false);
        }
    });
    document.addEventListener("click", (event) => {
        if (!byId("search-box").contains(event.target) || event.target.closest("#results a"))
            show(false);
        if (event.target.closest("#menu a"))
            showMenu(false);
    });
    document.addEventListener("keydown", (event) => {
        if (event.key === "/" && !/^(INPUT|TEXTAREA)$/.test(document.activeElement.tagName)) {
            event.preventDefault();
            field.focus();
        } else if (event.key === "Escape") {
            showMenu(false);
        }
    });

    // Code can be copied; what is too wide can be scrolled with keys.
    document.querySelectorAll("div.fragment, pre.fragment").forEach((code) => {
        code.tabIndex = 0;
        if (!navigator.clipboard || code.closest(".output"))
            return;
        const wrapper = document.createElement("div");
        wrapper.className = "doxygen-awesome-fragment-wrapper";
        code.replaceWith(wrapper);
        const copy = document.createElement("doxygen-awesome-fragment-copy-button");
        copy.innerHTML = DoxygenAwesomeFragmentCopyButton.copyIcon;
        copy.title = DoxygenAwesomeFragmentCopyButton.title;
        wrapper.append(code, copy);
    });

    // Wide tables scroll by themselves, not the page.
    document.querySelectorAll(".contents table.markdownTable, .contents table.doxtable, .contents table.fieldtable")
        .forEach((table) => {
            const wrapper = document.createElement("div");
            wrapper.className = "table";
            wrapper.tabIndex = 0;
            table.replaceWith(wrapper);
            wrapper.append(table);
        });

    // A link at each heading.
    document.querySelectorAll(".contents a.anchor[id]").forEach((anchor) => {
        const heading = anchor.parentElement;
        if (!/^H[1-6]$/.test(heading.tagName))
            return;
        const link = document.createElement("a");
        link.className = "anchorlink";
        link.href = "#" + anchor.id;
        link.textContent = "#";
        link.setAttribute("aria-label", "Link to this section");
        heading.append(link);
    });

    // The contents show where the reader is.
    const links = Array.from(document.querySelectorAll(".toc a"));
    const places = links.map((link) => byId(decodeURIComponent(link.hash.slice(1))));
    function follow() {
        let at = 0;
        places.forEach((place, i) => {
            if (place && place.getBoundingClientRect().top < 120)
                at = i;
        });
        links.forEach((link, i) => link.classList.toggle("here", i === at));
    }
    if (links.length) {
        addEventListener("scroll", follow, { passive: true });
        follow();
    }
})();
