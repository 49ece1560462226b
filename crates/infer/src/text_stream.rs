//! The text of a completion while its tokens arrive.

/// The replacement character that a decoder puts where a character's bytes are not complete.
const INCOMPLETE: char = '\u{FFFD}';

/// After this many tokens an incomplete character is taken as it is: no character has more bytes.
const LONGEST_WAIT: usize = 8;

/// Turns tokens into text as they come, whole characters only.
///
/// Each step decodes the last few tokens, never the whole completion, together with those before
/// them, since a decoder may treat the first token of a text differently.
pub struct TextStream<F> {
    decode: F,
    /// The tokens still needed: first those whose text is out, then those that wait.
    window: Vec<u32>,
    /// How many tokens of the window have their text out.
    out: usize,
    /// The text of those tokens.
    before: String,
}

impl<F, E> TextStream<F>
where
    F: Fn(&[u32]) -> Result<String, E>,
{
    /// A stream that goes on after `context`, whose text is not part of it.
    ///
    /// # Errors
    /// Those of `decode`.
    pub fn after(context: &[u32], decode: F) -> Result<TextStream<F>, E> {
        let before = match context {
            [] => String::new(),
            context => decode(context)?,
        };
        Ok(TextStream { decode, window: context.to_vec(), out: context.len(), before })
    }

    /// The text that one more token completes; empty while a character waits for its rest.
    ///
    /// # Errors
    /// Those of `decode`.
    pub fn push(&mut self, id: u32) -> Result<String, E> {
        self.window.push(id);
        let text = (self.decode)(&self.window)?;
        if text.ends_with(INCOMPLETE) && self.window.len() - self.out < LONGEST_WAIT {
            return Ok(String::new());
        }
        self.take(&text)
    }

    /// The text that still waited, after the last token.
    ///
    /// # Errors
    /// Those of `decode`.
    pub fn finish(&mut self) -> Result<String, E> {
        if self.out == self.window.len() {
            return Ok(String::new());
        }
        let text = (self.decode)(&self.window)?;
        self.take(&text)
    }

    fn take(&mut self, text: &str) -> Result<String, E> {
        let piece = text.get(self.before.len()..).unwrap_or_default().to_owned();
        if piece.is_empty() {
            // Tokens without a text of their own stay as context for the next one.
            self.out = self.window.len();
            return Ok(piece);
        }
        self.window.drain(..self.out);
        self.out = self.window.len();
        self.before = (self.decode)(&self.window)?;
        Ok(piece)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::convert::Infallible;

    /// A decoder whose tokens are bytes, as byte-level tokenizers have them.
    fn bytes(ids: &[u32]) -> Result<String, Infallible> {
        let bytes: Vec<u8> = ids.iter().map(|id| *id as u8).collect();
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// A decoder of words that puts no space before the first one, as SentencePiece models have it.
    fn words(ids: &[u32]) -> Result<String, Infallible> {
        let words = ["", " a", " girl", "s", " ran"];
        let text: String = ids.iter().map(|id| words[*id as usize]).collect();
        Ok(text.strip_prefix(' ').unwrap_or(&text).to_owned())
    }

    fn pieces<F: Fn(&[u32]) -> Result<String, Infallible>>(
        mut stream: TextStream<F>,
        ids: &[u32],
    ) -> Vec<String> {
        let mut pieces: Vec<String> = ids.iter().map(|id| stream.push(*id).unwrap()).collect();
        pieces.push(stream.finish().unwrap());
        pieces
    }

    #[test]
    fn a_character_appears_when_its_last_byte_does() {
        let ids: Vec<u32> = "aé€😀b".bytes().map(u32::from).collect();
        let stream = TextStream::after(&[], bytes).unwrap();
        let found = pieces(stream, &ids);
        assert_eq!(found, ["a", "", "é", "", "", "€", "", "", "", "😀", "b", ""]);
    }

    #[test]
    fn bytes_that_never_make_a_character_come_out_at_the_end() {
        let stream = TextStream::after(&[], bytes).unwrap();
        assert_eq!(pieces(stream, &[0x61, 0xe2, 0x82]), ["a", "", "", "\u{FFFD}"]);
        let mut stream = TextStream::after(&[], bytes).unwrap();
        let text: String = (0..20).map(|_| stream.push(0xff).unwrap()).collect();
        assert_eq!(text, "\u{FFFD}".repeat(16));
    }

    #[test]
    fn spaces_between_words_stay_and_the_first_follows_the_context() {
        let alone = TextStream::after(&[], words).unwrap();
        assert_eq!(pieces(alone, &[0, 1, 2, 3, 4]), ["", "a", " girl", "s", " ran", ""]);
        let after = TextStream::after(&[4, 1], words).unwrap();
        assert_eq!(pieces(after, &[2, 3, 4]), [" girl", "s", " ran", ""]);
    }

    #[test]
    fn work_grows_with_the_tokens_not_with_their_square() {
        let decoded = Cell::new(0);
        let counting = |ids: &[u32]| {
            decoded.set(decoded.get() + ids.len());
            bytes(ids)
        };
        let mut stream = TextStream::after(&[], counting).unwrap();
        for _ in 0..1000 {
            stream.push(0x61).unwrap();
        }
        assert!(decoded.get() <= 3 * 1000);
    }
}
