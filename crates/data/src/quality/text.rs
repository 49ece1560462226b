//! What is wrong with the characters of a text, and replies that begin with boilerplate or stop in mid-sentence.

use std::ops::Range;

/// What can be wrong with the characters of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TextFault {
    /// UTF-8 that was read as Windows-1252 or Latin-1: `Ã©` for `é`.
    Mojibake,
    /// U+FFFD, which stands where a character was lost.
    Replacement,
    /// A C0 or C1 control other than tab and line breaks, or U+007F.
    ControlCharacter,
    /// A zero-width character, a soft hyphen, a byte order mark or a control of the writing direction.
    ZeroWidth,
    /// A literal `\u00e9` or `&eacute;` in prose.
    EscapedUnicode,
}

/// The first place of a fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spotted {
    /// What is wrong.
    pub fault: TextFault,
    /// Bytes of the text.
    pub range: Range<usize>,
}

/// Windows-1252 from 0x80 to 0x9F; its five gaps hold the Latin-1 controls.
const WINDOWS_1252: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}',
    '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];
const NO_BREAK_SPACE: char = '\u{a0}';
/// What stands right behind a letter in real text of any case.
const BEHIND_LETTERS: &str = "…‹›‘’“”«»•–—™\u{a0}\u{ad}";
/// What else stands behind an accented small letter: `víš`, `Nescafé®`.
const BEHIND_SMALL_LETTERS: &str = "šžœŠŽŒŸƒ®©²³¹€£¥¢†‡ªº°´";
const ENTITIES: &[&str] = &[
    "amp", "lt", "gt", "quot", "apos", "nbsp", "lsquo", "rsquo", "ldquo", "rdquo", "sbquo",
    "bdquo", "ndash", "mdash", "hellip", "bull", "middot", "copy", "reg", "trade", "deg", "euro",
    "pound", "yen", "cent", "sect", "para", "plusmn", "times", "divide", "frac12", "frac14",
    "frac34", "laquo", "raquo", "iexcl", "iquest", "shy", "ensp", "emsp", "thinsp", "zwj", "zwnj",
    "szlig", "aelig", "AElig", "oelig", "OElig", "eth", "ETH", "thorn", "THORN",
];
const ACCENTS: &[&str] =
    &["acute", "grave", "circ", "uml", "tilde", "cedil", "ring", "slash", "caron"];

/// Openings of replies that were taken from another assistant without reading them.
///
/// A model learns them from few rows, because every one begins with the same words: it then refuses what it could
/// answer, speaks of itself, and announces an answer where a program waits for one.
const OPENINGS: &str =
    "As an AI language model|As a large language model|As a language model|As an AI assistant|\
    As an artificial intelligence|As an AI, I|I'm just an AI|I'm an AI language model|\
    I am an AI language model|I'm sorry, but as an AI|I apologize, but as an AI|\
    I'm sorry, but I cannot|I am sorry, but I cannot|I'm sorry, but I can't assist|\
    I'm sorry, I can't assist|I'm sorry, but I can't help with that|\
    I'm sorry, but I'm unable to|I apologize, but I cannot|I cannot fulfill|\
    I can't assist with that|I don't have personal|Certainly! Here|Sure, here's|Sure, here is|\
    Sure, here are|Sure thing! Here|Of course! Here|Absolutely! Here|Great question|\
    That's a great question";

/// English words that no sentence ends with; prepositions do end some ("what can I help with").
const NEVER_LAST: &[&str] = &[
    "the", "an", "and", "or", "but", "nor", "my", "your", "our", "their", "its", "every", "if",
    "because", "although", "unless", "whether", "whereas", "than", "via", "during",
];
/// Words that no sentence ends with where they stand behind the other.
const NEVER_LAST_TOGETHER: &[(&str, &[&str])] = &[
    ("a", &["in", "for", "of", "with", "as", "at", "by", "on", "from", "into", "have", "get"]),
    ("as", &["such", "well"]),
    ("of", &["instead", "because", "number", "one"]),
    ("to", &["due", "according", "order"]),
];
/// Two of these make a text English: `an` ends a German sentence, `but` a French one.
const ENGLISH: &[&str] = &[
    "the", "you", "your", "this", "that", "with", "have", "will", "our", "it", "can", "to", "they",
    "from", "not", "are", "and",
];
const SIGN_OFFS: &str =
    "regards sincerely thanks wishes yours cheers respectfully faithfully truly \
    cordially warmly love";
const ABBREVIATIONS: &[&str] = &["mr", "mrs", "ms", "dr", "vs", "e.g", "i.e", "approx", "incl"];
/// A shorter reply is an answer, not a text.
const LEAST_WORDS: usize = 8;
/// A comma behind fewer words may close a greeting or a sign-off.
const LEAST_CLAUSE: usize = 5;

/// The first place of each fault of a text, in the order of the text.
///
/// Misread UTF-8 is reported where its bytes are UTF-8 again and no real spelling explains the characters: `CAFÉ’S`
/// and `víš…` are none. Joiners between emoji and in scripts that need them are no fault, nor are escapes in code.
///
/// Units: bytes.
///
/// Source: RFC 3629 (UTF-8); WHATWG Encoding Standard, index windows-1252.
pub fn faults(text: &str) -> Vec<Spotted> {
    let mut found = Vec::new();
    // Whole chunks without a branch inside: most texts are plain ASCII.
    let plain = |chunk: &[u8]| !chunk.iter().fold(false, |odd, byte| odd | is_odd(*byte));
    if text.as_bytes().chunks(64).all(plain) {
        return found;
    }
    if let Some(range) = first_escape(text) {
        found.push(Spotted { fault: TextFault::EscapedUnicode, range });
    }
    let mut at = 0;
    let next_odd = |at: usize| text.as_bytes().get(at..)?.iter().position(|byte| is_odd(*byte));
    while let Some(step) = next_odd(at) {
        at += step;
        let Some((head, rest)) = text.split_at_checked(at) else { break };
        let Some(c) = rest.chars().next() else { break };
        let before = head.chars().next_back();
        let (fault, length) = match misread_run(before, rest) {
            Some(length) => (Some(TextFault::Mojibake), length),
            None => (fault_of(c, before, rest.chars().nth(1)), c.len_utf8()),
        };
        if let Some(fault) = fault.filter(|new| found.iter().all(|known| known.fault != *new)) {
            found.push(Spotted { fault, range: at..at + length });
        }
        at += length;
    }
    found.sort_by_key(|spotted| spotted.range.start);
    found
}

/// The boilerplate a reply begins with, whatever its case, apostrophes and commas.
pub fn boilerplate(reply: &str) -> Option<&'static str> {
    let reply = reply.trim_start_matches(|c: char| c.is_whitespace() || "\"“'*>".contains(c));
    OPENINGS.split('|').find(|opening| {
        let mut found = folded(reply);
        folded(opening).all(|expected| found.next() == Some(expected))
            && !found.next().is_some_and(char::is_alphanumeric)
    })
}

/// Whether a reply stops in mid-sentence or inside a code block; in doubt it does not.
///
/// A text of eight words or more with a finished sentence is cut off where it goes on to a comma, a dash, an opening
/// bracket or an English word that ends no sentence. Labels, lists, code and sign-offs are not, and a word that was
/// cut in two is not recognised.
pub fn is_cut_off(reply: &str) -> bool {
    let reply = reply.trim_end();
    if let Some(code) = open_code(reply) {
        return !code.trim().is_empty() && !code.ends_with(['.', '!', '?']);
    }
    let Some(last) = reply.chars().next_back() else { return false };
    if !(last.is_ascii_lowercase() || ",-–—([".contains(last)) {
        return false;
    }
    let (above, line) = reply.rsplit_once('\n').unwrap_or(("", reply));
    if is_laid_out(line) || reply.split_whitespace().take(LEAST_WORDS).count() < LEAST_WORDS {
        return false;
    }
    let words: Vec<&str> = line.split_whitespace().collect();
    let start = words.iter().rposition(|word| ends_sentence(word)).map_or(0, |at| at + 1);
    let (finished, clause) = words.split_at_checked(start).unwrap_or_default();
    if finished.is_empty() && !above.split_whitespace().any(ends_sentence) {
        return false;
    }
    match (last, clause) {
        ('(' | '[', [.., before, "(" | "["]) => {
            clause.len() > 2 && !before.ends_with([':', ';', '='])
        }
        ('(' | '[', _) => false,
        (',' | '-' | '–' | '—', _) => clause.len() >= LEAST_CLAUSE && !is_sign_off(clause),
        (_, [_, .., before, word]) => is_never_last(before, word) && is_english(reply),
        _ => false,
    }
}

/// The text behind a line's list marker; `None` for a line that is no list item.
pub(super) fn list_item(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let number = line.trim_start_matches(|c: char| c.is_ascii_digit());
    let behind = match line.len() - number.len() {
        0 => line.strip_prefix(['-', '*', '•', '+', '◦'])?,
        1..=3 => number.strip_prefix(['.', ')'])?,
        _ => return None,
    };
    behind.strip_prefix([' ', '\t'])
}

/// Whether a word, with what stands around it, ends a sentence.
pub(super) fn ends_sentence(word: &str) -> bool {
    let word = word.trim_end_matches(['"', '\'', '”', '’', ')', ']', '*', '»']);
    let stem = word.trim_end_matches(['.', '!', '?', '…']);
    // One letter or digit is an initial or the number of a list item.
    stem.len() < word.len()
        && stem.chars().filter(|c| c.is_alphanumeric()).nth(1).is_some()
        && !ABBREVIATIONS.iter().any(|known| known.eq_ignore_ascii_case(stem))
}

/// Whether a byte can belong to a fault.
fn is_odd(byte: u8) -> bool {
    let control = (byte < b' ') & (byte != b'\t') & (byte != b'\n') & (byte != b'\r');
    control | (byte >= 0x7f) | (byte == b'\\') | (byte == b'&')
}

/// One character that was read as two to four.
struct Misread {
    /// What its first byte was read as.
    lead: char,
    /// What the others were read as, spaces behind them.
    marks: [char; 3],
    decoded: char,
    /// Bytes that it takes in the text.
    length: usize,
}

/// Bytes of the misread characters that a text begins with.
fn misread_run(before: Option<char>, text: &str) -> Option<usize> {
    let first = Misread::at(text)?;
    let mut end = first.length;
    while let Some(next) = text.get(end..).and_then(Misread::at) {
        end += next.length;
    }
    let after = text.get(end..).and_then(|rest| rest.chars().next());
    (end > first.length || first.is_certain(before, after)).then_some(end)
}

impl Misread {
    fn at(text: &str) -> Option<Misread> {
        let mut chars = text.chars();
        let lead = chars.next()?;
        let following = match lead {
            'Â'..='ß' => 1,
            'à'..='ï' => 2,
            'ð' => 3,
            _ => return None,
        };
        let (mut bytes, mut marks) = ([u8::try_from(lead).ok()?, 0, 0, 0], [' '; 3]);
        for (byte, mark) in bytes.iter_mut().skip(1).zip(&mut marks).take(following) {
            *mark = chars.next()?;
            *byte = windows_1252(*mark)?;
        }
        let decoded = std::str::from_utf8(bytes.get(..=following)?).ok()?.chars().next()?;
        let known =
            matches!(decoded, '\u{a0}'..='\u{17f}' | '\u{218}'..='\u{21b}' | '\u{300}'..='\u{6ff}');
        let length = text.len() - chars.as_str().len();
        (following > 1 || known).then_some(Misread { lead, marks, decoded, length })
    }

    /// Whether no real spelling explains the characters, though none like them follow.
    fn is_certain(&self, before: Option<char>, after: Option<char>) -> bool {
        let [second, third, _] = self.marks;
        let is_small = |c: Option<char>| c.is_some_and(char::is_lowercase);
        let is_usual = |c: char| BEHIND_LETTERS.contains(c) || BEHIND_SMALL_LETTERS.contains(c);
        if self.marks.iter().any(|mark| mark.is_control()) {
            return true;
        }
        match self.lead {
            'ð' => second == 'Ÿ',
            'â' => second == '€' || ![second, third].iter().all(|c| BEHIND_LETTERS.contains(*c)),
            'à'..='ï' => !is_usual(second) || (second != NO_BREAK_SPACE && !is_usual(third)),
            _ if self.decoded >= '\u{300}' => false,
            // The ångström has powers and tolerances.
            'Å' if "±²³¹·".contains(second) => is_small(before),
            'Â' | 'Ã' if second == NO_BREAK_SPACE => {
                is_small(before) || !before.is_some_and(char::is_alphabetic)
            }
            _ if !BEHIND_LETTERS.contains(second) || is_small(before) => true,
            _ => is_small(after) && !"‘’\u{a0}\u{ad}".contains(second),
        }
    }
}

/// The byte that a character has in Windows-1252, or in Latin-1 where that has none.
fn windows_1252(c: char) -> Option<u8> {
    let in_table = || (0x80..=0x9f).zip(WINDOWS_1252).find(|(_, known)| *known == c);
    u8::try_from(c).ok().or_else(|| in_table().map(|(byte, _)| byte))
}

/// What is wrong with a character between two others.
fn fault_of(c: char, before: Option<char>, after: Option<char>) -> Option<TextFault> {
    let beside = |known: fn(char) -> bool| before.is_some_and(known) || after.is_some_and(known);
    let is_emoji = |c: Option<char>| c.is_some_and(is_emoji_part);
    match c {
        '\t' | '\n' | '\r' => None,
        '\u{fffd}' => Some(TextFault::Replacement),
        _ if c.is_control() => Some(TextFault::ControlCharacter),
        '\u{200b}' if beside(is_unspaced_script) => None,
        '\u{200c}' | '\u{200d}' if beside(is_joining_script) => None,
        '\u{200d}' if is_emoji(before) && is_emoji(after) => None,
        '\u{ad}' | '\u{61c}' | '\u{feff}' => Some(TextFault::ZeroWidth),
        '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' => {
            Some(TextFault::ZeroWidth)
        }
        _ => None,
    }
}

/// Scripts whose lines break at zero-width spaces: Thai, Lao, Burmese, Khmer.
fn is_unspaced_script(c: char) -> bool {
    matches!(c, '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}')
}

/// Scripts that spell with joiners: Arabic and its kin, those of India and its neighbours, Mongolian.
fn is_joining_script(c: char) -> bool {
    let arabic =
        matches!(c, '\u{600}'..='\u{8ff}' | '\u{fb50}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}');
    arabic
        || is_unspaced_script(c)
        || matches!(c, '\u{900}'..='\u{dff}' | '\u{f00}'..='\u{fff}' | '\u{1800}'..='\u{18af}')
}

fn is_emoji_part(c: char) -> bool {
    let is_symbol =
        matches!(c, '\u{2190}'..='\u{23ff}' | '\u{25a0}'..='\u{27bf}' | '\u{2b00}'..='\u{2bff}');
    is_symbol || matches!(c, '\u{fe0f}' | '\u{1f000}'..='\u{1faff}')
}

/// The first escape outside code and markup.
fn first_escape(text: &str) -> Option<Range<usize>> {
    if !text.bytes().any(|byte| matches!(byte, b'\\' | b'&')) {
        return None;
    }
    let is_markup = text.contains("</") || text.contains("<!");
    let (mut fenced, mut ticked) = (false, false);
    let (mut at, mut before) = (0_usize, b' ');
    while let Some(rest @ [byte, ..]) = text.as_bytes().get(at..) {
        let is_prose = !fenced && !ticked;
        let length = match rest {
            [b'\\', ..] if is_prose && !b"[-\"'/^".contains(&before) => unicode_escape(rest),
            [b'&', ..] if is_prose && !is_markup => entity(rest),
            _ => None,
        };
        if let Some(length) = length {
            return Some(at..at + length);
        }
        if rest.starts_with(b"```") {
            (fenced, ticked) = (!fenced, false);
            at += 2;
        } else if matches!(byte, b'`' | b'\n') {
            ticked = *byte == b'`' && is_prose;
        }
        (at, before) = (at + 1, *byte);
    }
    None
}

fn unicode_escape(bytes: &[u8]) -> Option<usize> {
    let length = match bytes {
        [_, b'u', ..] => 6,
        [_, b'U', ..] => 10,
        _ => return None,
    };
    bytes.get(2..length)?.iter().all(u8::is_ascii_hexdigit).then_some(length)
}

fn entity(bytes: &[u8]) -> Option<usize> {
    let end = bytes.iter().take(12).position(|byte| *byte == b';')?;
    let known = match bytes.get(1..end)? {
        [b'#', b'x' | b'X', digits @ ..] => {
            !digits.is_empty() && digits.iter().all(u8::is_ascii_hexdigit)
        }
        [b'#', digits @ ..] => !digits.is_empty() && digits.iter().all(u8::is_ascii_digit),
        name => std::str::from_utf8(name).is_ok_and(is_entity_name),
    };
    known.then_some(end + 1)
}

fn is_entity_name(name: &str) -> bool {
    let is_letter = |letter: &str| letter.len() == 1;
    ENTITIES.contains(&name)
        || ACCENTS.iter().any(|accent| name.strip_suffix(*accent).is_some_and(is_letter))
}

/// A text in small letters, with straight apostrophes and single spaces, without what divides clauses.
fn folded(text: &str) -> impl Iterator<Item = char> + '_ {
    let mut spaced = true;
    text.chars().filter_map(move |c| {
        let c = match c {
            ',' | '.' | '!' | ':' | ';' => return None,
            '’' | '‘' | 'ʼ' | '`' => '\'',
            '-' | '–' | '—' => ' ',
            c if c.is_whitespace() => ' ',
            c => c.to_ascii_lowercase(),
        };
        let kept = c != ' ' || !spaced;
        spaced = c == ' ';
        kept.then_some(c)
    })
}

/// What stands behind the opening of a code block that is never closed.
fn open_code(reply: &str) -> Option<&str> {
    let mut open: Option<(usize, &str)> = None;
    let mut rest = reply;
    while let Some(fence) = rest.find("```").and_then(|at| rest.get(at..)) {
        rest = fence.trim_start_matches('`');
        let ticks = fence.len() - rest.len();
        open = match open {
            None => Some((ticks, rest)),
            // A longer fence holds shorter ones.
            Some((opening, _)) if ticks >= opening => None,
            inside => inside,
        };
    }
    open.map(|(_, code)| code)
}

/// Whether a line is a list item, a heading, a table, a quotation, code or a link.
fn is_laid_out(line: &str) -> bool {
    list_item(line).is_some()
        || line.starts_with(['\t', '#'])
        || line.starts_with("    ")
        || line.contains(['{', '}', ';', '=', '<', '>', '|', '\\', '`'])
        || line.contains("://")
}

fn is_sign_off(clause: &[&str]) -> bool {
    clause.iter().any(|word| {
        let word = word.trim_matches(|c: char| !c.is_alphabetic());
        SIGN_OFFS.split(' ').any(|known| known.eq_ignore_ascii_case(word))
    })
}

fn is_never_last(before: &str, word: &str) -> bool {
    let word = word.trim_start_matches(|c: char| !c.is_alphabetic());
    let together = |(last, befores): &(&str, &[&str])| *last == word && befores.contains(&before);
    NEVER_LAST.contains(&word) || NEVER_LAST_TOGETHER.iter().any(together)
}

fn is_english(text: &str) -> bool {
    let is_used =
        |known: &str| text.split_whitespace().any(|word| word.eq_ignore_ascii_case(known));
    ENGLISH.iter().filter(|known| is_used(known)).nth(1).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only_fault(text: &str) -> (TextFault, Range<usize>) {
        match faults(text).as_slice() {
            [only] => (only.fault, only.range.clone()),
            found => panic!("{text:?}: {found:?}"),
        }
    }

    #[test]
    fn utf_8_that_was_read_as_windows_1252_or_latin_1_is_mojibake() {
        for (text, range) in [
            ("cafÃ© noir", 3..7),
            ("Itâ€™s", 2..10),
            ("â€œHi", 0..7),
            ("Costs Â£5", 6..10),
            ("Great ðŸ˜€", 6..15),
            ("20Â°C", 2..6),
            ("Ã–sterreich", 0..5),
            ("aquÃ\u{ad}", 3..7),
            ("voilÃ\u{a0}", 4..8),
            ("bÄ™dÄ…", 1..6),
            ("texteÂ\u{a0}Â»", 5..13),
            ("ÐŸÑ€Ð¸Ð²ÐµÑ‚", 0..26),
            ("ä½\u{a0}å¥½", 0..12),
            ("itâ\u{80}\u{99}s", 2..8),
            ("ï»¿Hello", 0..6),
            ("â†’ next", 0..8),
        ] {
            assert_eq!(only_fault(text), (TextFault::Mojibake, range), "{text:?}");
        }
    }

    #[test]
    fn other_faults_are_spotted_where_they_stand() {
        for (text, fault, range) in [
            ("caf\u{fffd}", TextFault::Replacement, 3..6),
            ("a\u{0}b\u{0}", TextFault::ControlCharacter, 1..2),
            ("\u{1b}[31m", TextFault::ControlCharacter, 0..1),
            ("a\u{7f}", TextFault::ControlCharacter, 1..2),
            ("a\u{85}", TextFault::ControlCharacter, 1..3),
            ("a\u{200b}b", TextFault::ZeroWidth, 1..4),
            ("\u{feff}Hi", TextFault::ZeroWidth, 0..3),
            ("soft\u{ad}hyphen", TextFault::ZeroWidth, 4..6),
            ("abc\u{202e}def", TextFault::ZeroWidth, 3..6),
            ("word\u{200d} 😀", TextFault::ZeroWidth, 4..7),
            (r"caf\u00e9", TextFault::EscapedUnicode, 3..9),
            (r"smile \U0001F600", TextFault::EscapedUnicode, 6..16),
            ("It&#39;s", TextFault::EscapedUnicode, 2..7),
            ("It&#x27;s", TextFault::EscapedUnicode, 2..8),
            ("caf&eacute;", TextFault::EscapedUnicode, 3..11),
            ("`a & b`, Tom &amp; Jerry", TextFault::EscapedUnicode, 13..18),
        ] {
            assert_eq!(only_fault(text), (fault, range), "{text:?}");
        }
    }

    #[test]
    fn each_fault_is_told_once_in_the_order_of_the_text() {
        let text = "\u{feff}It&#39;s â€œ\u{fffd}\u{7}\u{fffd}â€œ&#39;\u{200b}";
        let found: Vec<_> = faults(text).into_iter().map(|spotted| spotted.range).collect();
        assert_eq!(found, [0..3, 5..10, 12..19, 19..22, 22..23]);
    }

    #[test]
    fn real_spelling_has_no_fault() {
        let words = "São Paulo|Ângela|À la carte|fiancé|Â|Ã|SMÅ|Überraschung|æøå|café…”|hâlâ…”|víš…|máš“|\
            Nescafé®’s|«\u{a0}café\u{a0}»|AMANHÃ”|120 Å³|5 Å ±|CAFÉ’S|“Å”|Spaß…”|Ø½ inch|5 × ½|AQUÍ…|payé\u{a0}€5|\
            það…”|Привет…|你好”|€5 – £3|It’s “fine”";
        let joined = "👩\u{200d}💻|👩🏽\u{200d}💻|❤\u{fe0f}\u{200d}🔥|🏳\u{fe0f}\u{200d}🌈|👨\u{200d}👩\u{200d}👧|\
            🏴\u{200d}☠\u{fe0f}|🐻\u{200d}❄\u{fe0f}|😮\u{200d}💨|می\u{200c}خواهم|خانه\u{200c}ها|ه\u{200d} |\
            क्\u{200d}ष|ක්\u{200d}ෂ|ന്\u{200d} |ไทย\u{200b}ภาษา|ខ្មែរ\u{200b}ភាសា";
        let controls =
            "a\tb|a\nb|a\r\nb|a b|~|a\u{2028}b|a\u{2029}b|\u{a0}|日本|é|…|“|√2|12³|10¢|½|";
        let escapes = "AT&T|R&D; sales|Q&A|a & b;|C:\\users\\ubuntu|`\\u00e9` is é|<p>Tom &amp; Jerry</p>|\
            [\\u4e00-\\u9fff]|\"\\u00e9\"|?a=1&copy=2|\\u12|\\underline{x}|&;|&#;|&#x;|&unknown;|fish &chips;|\
            ```&nbsp;```|\\x41";
        for list in [words, joined, controls, escapes] {
            assert!(list.split('|').count() > 15);
            for text in list.split('|') {
                let found = faults(text);
                assert!(found.is_empty(), "{text:?}: {found:?}");
            }
        }
    }

    #[test]
    fn boilerplate_is_known_in_any_case_and_with_any_apostrophe() {
        assert_eq!(boilerplate("as an AI language model, I"), Some("As an AI language model"));
        assert_eq!(boilerplate("I’m sorry, but I cannot do it"), Some("I'm sorry, but I cannot"));
        assert_eq!(boilerplate(" certainly! here's a list"), Some("Certainly! Here"));
        assert_eq!(boilerplate("Sure — here’s a draft"), Some("Sure, here's"));
        assert_eq!(boilerplate("**Great question!** Yes"), Some("Great question"));
        let own = "As an airline, we|As an AI engineer, you|I'm sorry to hear that|Sure, we have 4|Hi|\
            Certainly, I can book it|Here is your receipt|Of course. When do you arrive?|Absolutely not|\
            Great, it is booked|I cannot find your booking|Certainly! Herein lies|cancel_order|Sure thing|\
            A great question|I am sorry for the delay|";
        assert_eq!(own.split('|').find_map(boilerplate), None);
    }

    #[test]
    fn a_reply_that_stops_in_mid_sentence_is_cut_off() {
        let stopped = "We received your order. It will ship tomorrow and then the|\
            Thank you for waiting! If there is anything else we can help you with,|\
            Your refund is on its way. You will see it within a few days –|\
            I checked the booking. The total includes two fees (|\
            The card was declined. You can pay it with another one or (the|\
            Is it late? I am afraid that we cannot refund it because|\
            It is sunny today. You can see the castle from a|\
            Your room has a view. It has all the comforts, such as|```python\nprint(|\
            Use this query:\n```sql\nSELECT name FROM users";
        for reply in stopped.split('|') {
            assert!(is_cut_off(reply), "{reply:?}");
        }
    }

    #[test]
    fn a_reply_that_may_be_whole_is_not_cut_off() {
        let whole = "|cancel_order|3.14|It is. We can help you with,|one two three four five six seven eight and the|\
            The reference is FK8743UH. Is there anything else I can help with|\
            Your train leaves at 5:11. The reference number is YYXR9VMX|\
            The hotel has no wifi. It does have free parking|\
            Your parcel left today. It will arrive soon. Best regards,|\
            Your parcel left today. Many thanks and kind regards from all of us,|\
            Your parcel left today. It will arrive soon.\nAnna|\
            Pick one of these. They are all free:\n- the tea\n- the coffee and the|\
            See the manual. You will find it at https://example.com/the|\
            It is done. Let me know if you need it 😀|We are sorry that it broke. We will fix it :(|\
            He said that you are right. He wrote \"It is the\"|It costs 5 GBP. You can also pay more (by card)|\
            This is all that you need. Run it:\n```sh\nls the\n```|\
            Here is the code. You can run it:\nlet x = call(|\
            Danke für Ihre Geduld. Wir rufen Sie morgen noch einmal an|\
            I have read it. The answer to your question is a|Please hold the line. It will only take a while";
        for reply in whole.split('|') {
            assert!(!is_cut_off(reply), "{reply:?}");
        }
    }
}
