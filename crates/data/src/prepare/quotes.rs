//! Whether the quotes of a TSV file enclose cells, as spreadsheets write them, or are text, as most programs do.

/// Whether they enclose cells.
///
/// They do if every cell that begins with a quote ends with one too, those inside it being doubled. Such a cell may go
/// on over several lines; but where each of the file's lines has as many cells as the first, and more than one, the
/// quotes of two rows only look like a pair, and are text.
pub(super) fn enclose_cells(text: &[u8]) -> bool {
    let mut rest = text;
    let mut over_lines = false;
    loop {
        if let Some(inside) = rest.strip_prefix(b"\"") {
            let Some(length) = enclosed(inside) else { return false };
            let (cell, behind) = inside.split_at(length);
            over_lines |= cell.contains(&b'\n');
            rest = behind.get(1..).unwrap_or_default();
        }
        match rest.iter().position(|byte| ends_cell(*byte)) {
            Some(end) => rest = rest.get(end + 1..).unwrap_or_default(),
            None => return !(over_lines && lines_are_rows(text)),
        }
    }
}

/// The length of a cell behind its opening quote, up to the closing one; `None` where no quote closes it.
fn enclosed(inside: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += inside.get(at..)?.iter().position(|byte| *byte == b'"')?;
        match inside.get(at + 1) {
            Some(b'"') => at += 2,
            Some(byte) if !ends_cell(*byte) => return None,
            Some(_) | None => return Some(at),
        }
    }
}

fn ends_cell(byte: u8) -> bool {
    matches!(byte, b'\t' | b'\r' | b'\n')
}

/// Whether every line that is not empty has as many cells as the first, and more than one.
fn lines_are_rows(text: &[u8]) -> bool {
    let lines = text.split(|byte| *byte == b'\n');
    let lines = lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let tabs = |line: &[u8]| line.iter().filter(|byte| **byte == b'\t').count();
    let mut widths = lines.filter(|line| !line.is_empty()).map(tabs);
    match widths.next() {
        None | Some(0) => false,
        Some(first) => widths.all(|width| width == first),
    }
}

#[cfg(test)]
mod tests {
    use super::enclose_cells;

    #[test]
    fn quotes_around_whole_cells_enclose_them() {
        for text in [
            "q\ta\nwhere\there\n",
            "q\ta\n\"where\"\t\"here\"\n",
            "q\ta\r\n\"say \"\"no\"\"\"\tno\r\n",
            "q\ta\n\"two\nlines\"\tyes\n",
            "q\ta\nyes\t\"a\ttab\"",
            "text\n\"two\nlines\"\n",
            "q\ta\n\"\"\tempty\n",
            "q\ta\na 5\" nail\tyes\n",
        ] {
            assert!(enclose_cells(text.as_bytes()), "{text:?}");
        }
    }

    #[test]
    fn quotes_that_end_elsewhere_are_text() {
        for text in [
            "q\ta\n\"no\" is a word\tyes\n",
            "q\ta\nwho\t\"me\n",
            "q\ta\n\"\tquote\n",
            "q\ta\n\"where\tit began\nit ended\"\tthere\n",
        ] {
            assert!(!enclose_cells(text.as_bytes()), "{text:?}");
        }
    }
}
