//! Generates `.env` files from a seed, by the features of Compose's grammar. The same seed gives the same files.

/// The seed that is used when none is given.
pub(super) const SEED: u64 = 20_261_121;

/// How many files the whole proof takes.
pub(super) const WHOLE: usize = 20_000;

/// Names that files use; each can be set, looked up, both or neither.
const NAMES: [&str; 7] = ["A", "B", "C", "D", "E_1", "_f", "g"];

/// What may stand in a bare value or between quotes.
const TEXTS: [&str; 16] = [
    "x",
    "1",
    "two words",
    "a=b",
    "p@ss",
    "https://a.internal:1",
    "#",
    "x#y",
    " ",
    "é",
    "名",
    "a,b",
    "~",
    "%",
    "!",
    "-",
];

/// Everything that has a meaning somewhere in the grammar.
const SOUP: [&str; 31] = [
    "A", "B", "C", "=", ":", "\"", "'", "\\", "$", "{", "}", "-", "+", "?", "#", " ", "\n", "\r", "\t", "0", "7",
    "export", " #", "${", ":-", "$$", ".", "x", "\u{a0}", "\u{2003}", "[",
];

/// What may stand between a name and a word.
const OPERATORS: [&str; 6] = [":-", "-", ":+", "+", ":?", "?"];

type Line = fn(&mut Random, &mut Vec<u8>);

/// The features: a name, and what writes one line or a few of it.
pub(super) const FEATURES: [(&str, Line); 37] = [
    ("bare value", |random, out| line(out, &[random.name(), "=", random.text(), random.text()])),
    ("empty value", |random, out| line(out, &[random.name(), "=", random.one_of(&["", " ", "\"\"", "''"])])),
    ("single quotes", |random, out| line(out, &[random.name(), "='", random.text(), "$A ${B}", "'"])),
    ("double quotes", |random, out| line(out, &[random.name(), "=\"", random.text(), random.text(), "\""])),
    ("after a closing quote", |random, out| {
        line(out, &[random.name(), "='x'", random.one_of(&[" # c", "  ", " B=2", "B=3", "\t", " C"])]);
    }),
    ("escapes", |random, out| {
        let escapes = ["\\n", "\\t", "\\r", "\\\\", "\\$A", "\\a", "\\q", "\\c", "\\\\n", "\\v", "\\ "];
        let quote = random.one_of(&["\"", "\"", "'", ""]);
        line(out, &[random.name(), "=", quote, random.one_of(&escapes), random.one_of(&escapes), quote]);
    }),
    ("octal", |random, out| {
        let octal = ["\\0101", "\\041", "\\0", "\\0777", "\\0400", "\\0377", "\\09", "\\0128", "\\01011"];
        line(out, &[random.name(), "=\"", random.one_of(&octal), random.one_of(&octal), "\""]);
    }),
    ("escaped quotes", |random, out| {
        let quote = random.one_of(&["\"", "'"]);
        let inside = random.one_of(&["it\\'s", "a\\\"b", "\\\\", "\\\\\\\"", "\\'\\'"]);
        line(out, &[random.name(), "=", quote, inside, quote]);
    }),
    ("export", |random, out| {
        let word = ["export ", "export  ", "export\t", "export \t", "export", "Export ", "export\u{a0}"];
        line(out, &[random.one_of(&word), random.name(), "=", random.text()]);
    }),
    ("comment line", |random, out| {
        line(out, &[random.one_of(&["#", "  # ", "\t#", "# A=", "#'", "#\""]), random.text()]);
    }),
    ("inline comment", |random, out| {
        let comment = ["#c", " # c", " #", "\t# c", "  #'", "# ", " #\""];
        line(out, &[random.name(), "=", random.text(), random.one_of(&comment)]);
    }),
    ("comment after quotes", |random, out| {
        let quote = random.one_of(&["\"", "'"]);
        line(out, &[random.name(), "=", quote, "x # y", quote, random.one_of(&[" # c", "#c", " #'"])]);
    }),
    ("several lines", |random, out| {
        let quote = random.one_of(&["\"", "'"]);
        line(out, &[random.name(), "=", quote, random.text(), "\n", random.text(), "\n\n$A\n", quote]);
    }),
    ("reference", |random, out| {
        let other = random.name();
        line(out, &[random.name(), "=$", other, random.text(), "${", random.name(), "}"]);
    }),
    ("default for none or empty", |random, out| operator(random, out, ":-")),
    ("default for none", |random, out| operator(random, out, "-")),
    ("alternative for what is not empty", |random, out| operator(random, out, ":+")),
    ("alternative for what is set", |random, out| operator(random, out, "+")),
    ("nested", |random, out| {
        let inner = random.one_of(&["${B:-x}", "${C-${D:-y}}", "$A", "${A:+${B}z}", "${A}${B-}", "$$"]);
        line(out, &[random.name(), "=${", random.name(), random.one_of(&[":-", "-", "+"]), inner, "}", random.text()]);
    }),
    ("braces", |random, out| {
        let inside = ["{x}", "{", "}", "{{x}", "a}b", "{a}-b", "{}", "${", "{a}${B}"];
        line(out, &[random.name(), "=${", random.name(), random.one_of(&[":-", "+"]), random.one_of(&inside), "}y"]);
    }),
    ("doubled dollars", |random, out| {
        line(out, &[random.name(), "=", random.one_of(&["$$", "$$A", "$$$A", "$1", "$ ", "x$", "$.", "$$$$"])]);
    }),
    ("environment", |random, out| {
        line(out, &[random.name(), "=", random.one_of(&["$LC_ALL", "${LC_ALL:-x}", "${LC_ALL+y}", "${LC_ALL?z}"])]);
    }),
    ("equal names", |random, out| {
        let name = random.name();
        line(out, &[name, "=", random.text(), "\n", name, "=${", name, "}", random.text()]);
    }),
    ("carriage returns", |random, out| {
        let quote = random.one_of(&["", "\"", "'"]);
        line(out, &[random.name(), "=", quote, random.text(), quote, "\r\n", random.name(), "=1\r"]);
    }),
    ("byte-order mark", |random, out| {
        let mut text = b"\xef\xbb\xbf".to_vec();
        text.append(out);
        *out = text;
        line(out, &[random.name(), "=marked"]);
    }),
    ("colon", |random, out| {
        line(out, &[random.name(), random.one_of(&[":", ": ", " : ", ":=", "=:"]), random.text()]);
    }),
    ("name alone", |random, out| line(out, &[random.one_of(&["", "export ", " "]), random.name()])),
    ("blanks around", |random, out| {
        let blanks = ["", " ", "\t", "  ", "\u{a0}", "\u{b}", "\u{2003}"];
        let (before, after) = (random.one_of(&blanks[..4]), random.one_of(&blanks));
        line(out, &[before, random.name(), before, "=", after, random.text(), random.one_of(&blanks)]);
    }),
    ("odd name", |random, out| {
        let name = ["A.B", "A-B", "A[0]", "é", "1A", "A\tX", "exportC", "名", "-", "[]"];
        line(out, &[random.one_of(&name), "=", random.text()]);
    }),
    ("bytes that are not text", |random, out| {
        line(out, &[random.name(), "="]);
        out.pop();
        let bytes: [&[u8]; 4] = [b"\xff\xfe", b"a\xc3", b"\xe2\x82", b"\"\xf0\x28\""];
        out.extend(random.one_of(&bytes));
        out.push(b'\n');
    }),
    ("no end of the last line", |random, out| line(out, &[random.name(), "=", random.text(), UNENDED])),
    ("an empty name that is asked for", |random, out| {
        let (name, other) = (random.name(), random.name());
        let empty = random.one_of(&["", "\"\"", "''"]);
        line(out, &[name, "=", empty, "\n", other, "=${", name, random.one_of(&OPERATORS), "w}"]);
    }),
    ("an empty variable of the environment", |random, out| {
        line(out, &[random.name(), "=${EMPTY", random.one_of(&OPERATORS), random.text(), "}"]);
    }),
    ("name alone before a carriage return", |random, out| {
        let name = random.one_of(&["A", "B", "LC_ALL", "EMPTY"]);
        line(out, &[random.one_of(&["", "export ", " "]), name, random.one_of(&["\r", "\r\n\r"])]);
    }),
    ("soup", |random, out| {
        line(out, &[random.name(), "="]);
        out.pop();
        for _ in 0..random.below(14) {
            out.extend(random.one_of(&SOUP).as_bytes());
        }
        out.push(b'\n');
    }),
    ("required", |random, out| {
        let (name, other) = (random.name(), random.name());
        line(out, &[name, "=${", other, random.one_of(&["?", ":?", "?", ":?say why ", "?${A}"]), "}"]);
    }),
    ("wrong", |random, out| {
        let wrong = [
            "two words",
            "A B=2",
            "?=1",
            "A/B=1",
            "A=\"x",
            "B='y",
            "C=${",
            "C=${A",
            "C=${A:x}",
            "C=${}",
            "A=\0",
            "=x",
            "$A=1",
            "export A B=1",
            "D=${A.B}",
            "A=\"${B:-\n}\"",
            "\"A\"=1",
            "A+=1",
            "A=\"\\0000\"",
            "{",
            "é!=1",
        ];
        line(out, &[random.one_of(&wrong)]);
    }),
];

/// Marks a line whose end is left out; whatever comes next would stand on the same line, so nothing may.
const UNENDED: &str = "\u{1}";

/// The file of this number, and which features went into it, each with the line where it begins.
pub(super) fn file(seed: u64, number: usize) -> (Vec<u8>, Vec<(usize, usize)>) {
    let mut random = Random(seed ^ (number as u64).wrapping_mul(0xD1B5_4A32_D192_ED03));
    let wrong = FEATURES.len() - 1;
    let mut chosen = vec![number % wrong];
    chosen.extend((0..random.below(5)).map(|_| random.below(wrong)));
    if random.below(10) < 3 {
        chosen.insert(random.below(chosen.len()), wrong);
    }
    let mut out = Vec::new();
    let mut begun = Vec::new();
    for feature in &chosen {
        begun.push((*feature, out.split(|byte| *byte == b'\n').count()));
        FEATURES[*feature].1(&mut random, &mut out);
        if random.below(6) == 0 {
            out.push(b'\n');
        }
    }
    let is_unended = out.contains(&1);
    out.retain(|byte| *byte != 1);
    if is_unended {
        out.truncate(out.trim_ascii_end().len());
    }
    (out, begun)
}

/// SplitMix64: small, and the same everywhere.
pub(super) struct Random(pub(super) u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ (mixed >> 31)) % limit as u64).unwrap()
    }

    fn one_of<'t, T: ?Sized>(&mut self, choices: &[&'t T]) -> &'t T {
        choices[self.below(choices.len())]
    }

    fn name(&mut self) -> &'static str {
        self.one_of(&NAMES)
    }

    fn text(&mut self) -> &'static str {
        self.one_of(&TEXTS)
    }
}

fn operator(random: &mut Random, out: &mut Vec<u8>, operator: &str) {
    let quote = random.one_of(&["", "", "\""]);
    let (name, other, word) = (random.name(), random.name(), random.text());
    line(out, &[name, "=", quote, "${", other, operator, word, "}", random.one_of(&["", "x", "$A", "${B}"]), quote]);
}

fn line(out: &mut Vec<u8>, parts: &[&str]) {
    for part in parts {
        out.extend(part.as_bytes());
    }
    out.push(b'\n');
}
