"""Writes canonical-composition.txt: what NFC needs of the Unicode character database, Hangul syllables left out since they follow a formula.

    python make_canonical_composition.py        # Python 3.11 knows Unicode 14, newer ones more

Lines: "class CODE CLASS" gives a character's canonical combining class where it isn't 0, "pair COMPOSED FIRST SECOND" a canonical decomposition that
NFC puts together again, "apart CODE FIRST [SECOND]" one that it leaves in parts. Code points and classes are hexadecimal.
"""
import unicodedata as unicode

with open("canonical-composition.txt", "w", encoding="ascii", newline="\n") as out:
    out.write(f"# Unicode {unicode.unidata_version}, by make_canonical_composition.py\n")
    for code in range(0x110000):
        character = chr(code)
        if unicode.combining(character):
            out.write(f"class {code:X} {unicode.combining(character):X}\n")
    for code in range(0x110000):
        character = chr(code)
        parts = unicode.decomposition(character)
        if not parts or parts.startswith("<"):
            continue
        composes = unicode.normalize("NFC", character) == character
        parts = " ".join(f"{int(part, 16):X}" for part in parts.split())
        out.write(f"{'pair' if composes else 'apart'} {code:X} {parts}\n")
