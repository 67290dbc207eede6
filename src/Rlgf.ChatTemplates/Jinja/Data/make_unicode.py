"""Writes the tables of this folder from Python's own: what Python's text methods know of Unicode and .NET's don't.

    python make_unicode.py        # Python 3.11, Unicode 14

case-mappings.txt: code point; upper; lower; title; fold, each in hexadecimal, for characters that become several ones or whose title or folded form is another.
character-kinds.txt: first and last code point and "u" or "l" of characters that are cased without being letters of that case, and "n" of letters that are numbers.
unicode-names.gz: code point in hexadecimal and name, a line each, without those that are spelled by rule.
"""
import gzip
import re
import sys
import unicodedata

ALIASES = ("NULL;START OF HEADING;START OF TEXT;END OF TEXT;END OF TRANSMISSION;ENQUIRY;ACKNOWLEDGE;ALERT;BEL;BACKSPACE;CHARACTER TABULATION;HORIZONTAL TABULATION;TAB;"
           "LINE FEED;NEW LINE;END OF LINE;LINE TABULATION;VERTICAL TABULATION;FORM FEED;CARRIAGE RETURN;SHIFT OUT;SHIFT IN;DATA LINK ESCAPE;CANCEL;END OF MEDIUM;SUBSTITUTE;"
           "ESCAPE;FILE SEPARATOR;GROUP SEPARATOR;RECORD SEPARATOR;UNIT SEPARATOR;DELETE;NEXT LINE;NBSP;SHY;ZWSP;ZWNJ;ZWJ;LRM;RLM;BOM;ZWNBSP;BYTE ORDER MARK;WJ;NNBSP;CGJ;LRE;RLE;PDF;"
           "LRO;RLO;LRI;RLI;FSI;PDI;VS1;VS15;VS16;NUL;LF;CR;FF;HT;VT;ESC;DEL;NEL;SP").split(";")


def code_points(text):
    return " ".join(f"{ord(c):X}" for c in text)


def is_by_rule(code, name):
    return bool(re.search(f"[ -]{code:04X}$", name)) or name.startswith("HANGUL SYLLABLE ")


def main():
    characters = [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000]
    with open("case-mappings.txt", "w", encoding="ascii", newline="\n") as f:
        for c in characters:
            forms = (c.upper(), c.lower(), c.title(), c.casefold())
            # .NET leaves the small dotless i as it is.
            if c == "\u0131" or any(len(form) > 1 for form in forms) or forms[2] != forms[0] or forms[3] != forms[1]:
                f.write(";".join(code_points(form) for form in (c, *forms)) + "\n")
    with open("character-kinds.txt", "w", encoding="ascii", newline="\n") as f:
        for mark, is_kind, categories in (("u", str.isupper, "Lu"), ("l", str.islower, "Ll"), ("n", str.isnumeric, "Nd Nl No")):
            codes = [ord(c) for c in characters if is_kind(c) and unicodedata.category(c) not in categories]
            while codes:
                length = next((i for i in range(1, len(codes)) if codes[i] != codes[0] + i), len(codes))
                f.write(f"{codes[0]:X};{codes[length - 1]:X};{mark}\n")
                codes = codes[length:]
    lines = []
    for c in characters:
        name = unicodedata.name(c, "")
        if name and not is_by_rule(ord(c), name):
            lines.append(f"{ord(c):X} {name}")
    for alias in ALIASES:
        try:
            lines.append(f"{ord(unicodedata.lookup(alias)):X} {alias}")
        except KeyError:
            print("not known to Python:", alias)
    with open("unicode-names.gz", "wb") as f:
        f.write(gzip.compress(("\n".join(lines) + "\n").encode("ascii"), 9, mtime=0))


main()
