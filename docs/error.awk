# SPDX-License-Identifier: MIT
# Shows Doxygen the error codes as the compiler sees them: the enum with the list filled in.
/^    X\(MP_/ {
    name = $0
    sub(/^ *X\(/, "", name)
    sub(/,.*/, "", name)
    number = $0
    sub(/^[^,]*, */, "", number)
    sub(/,.*/, "", number)
    text = $0
    sub(/^[^"]*"/, "", text)
    sub(/"[^"]*$/, "", text)
    list = list " " name " = " number ", /**< " text " */"
}
/^enum mp_error/ {
    $0 = "enum mp_error {" list "};"
}
{ print }
