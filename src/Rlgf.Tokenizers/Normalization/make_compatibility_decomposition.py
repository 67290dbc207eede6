"""Writes compatibility-decomposition.txt: what NFKC and NFKD need of the Unicode character database beyond canonical-composition.txt.

    python make_compatibility_decomposition.py  # Python 3.11 knows Unicode 14, newer ones more

Lines: "CODE PART ...", hexadecimal: a character and what it stands for; parts may have parts of their own.
"""
import unicodedata as unicode

with open("compatibility-decomposition.txt", "w", encoding="ascii", newline="\n") as out:
    out.write(f"# Unicode {unicode.unidata_version}, by make_compatibility_decomposition.py\n")
    for code in range(0x110000):
        parts = unicode.decomposition(chr(code))
        if parts.startswith("<"):
            out.write(" ".join(f"{int(part, 16):X}" for part in [f"{code:X}", *parts.split()[1:]]) + "\n")
