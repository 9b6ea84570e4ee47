//! The lines of a text, one at a time in the same buffer.

use std::io::{BufRead, Read};

use super::CurveError;

/// No line of a table comes near this; a longer one is something else.
const LONGEST_LINE: u64 = 1 << 20;
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// How a file begins.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Opening {
    /// As JSON does: nothing was read of it yet.
    Json,
    /// With this line, which is the next one.
    Text(String),
    /// It holds blanks at most.
    Nothing,
}

/// The lines of a text. Blank ones hold nothing and are passed over.
pub(super) struct Lines<R> {
    input: R,
    line: Vec<u8>,
    number: usize,
    /// The present line is the next one to be handed out.
    again: bool,
}

impl<R: BufRead> Lines<R> {
    pub fn new(input: R) -> Self {
        Self { input, line: Vec::new(), number: 0, again: false }
    }

    /// The number of the present line, from 1.
    pub fn number(&self) -> usize {
        self.number.max(1)
    }

    /// Looks at how the text begins.
    pub fn opening(&mut self) -> Result<Opening, CurveError> {
        if self.input.fill_buf().map_err(CurveError::Read)?.starts_with(BYTE_ORDER_MARK) {
            self.input.consume(BYTE_ORDER_MARK.len());
        }
        match self.first_byte()? {
            None => Ok(Opening::Nothing),
            Some(b'{' | b'[') => Ok(Opening::Json),
            Some(_) => {
                let line = self.advance()?.map(str::to_owned);
                self.again = true;
                Ok(line.map_or(Opening::Nothing, Opening::Text))
            }
        }
    }

    /// Passes over blanks and hands out the byte after them, which stays unread.
    fn first_byte(&mut self) -> Result<Option<u8>, CurveError> {
        loop {
            let buffer = self.input.fill_buf().map_err(CurveError::Read)?;
            let Some(&byte) = buffer.first() else { return Ok(None) };
            if !matches!(byte, b' ' | b'\n' | b'\r') {
                return Ok(Some(byte));
            }
            self.number += usize::from(byte == b'\n');
            self.input.consume(1);
        }
    }

    /// What was not read yet, and the lines that lie before it.
    pub fn into_rest(self) -> (R, usize) {
        (self.input, self.number)
    }

    /// The next line that is not blank, without its end; `None` at the end.
    pub fn advance(&mut self) -> Result<Option<&str>, CurveError> {
        while !std::mem::take(&mut self.again) {
            self.line.clear();
            let mut limited = self.input.by_ref().take(LONGEST_LINE);
            let read = limited.read_until(b'\n', &mut self.line).map_err(CurveError::Read)?;
            if read == 0 {
                return Ok(None);
            }
            self.number += 1;
            if read as u64 == LONGEST_LINE {
                return Err(CurveError::line(self.number, format!("is longer than {LONGEST_LINE} bytes")));
            }
            let end = self.line.trim_ascii_end().len();
            // A tab at the end may be an empty field.
            let end = end + self.line[end..].iter().take_while(|byte| **byte == b'\t').count();
            self.line.truncate(end);
            if !self.line.trim_ascii().is_empty() {
                break;
            }
        }
        let text = std::str::from_utf8(&self.line);
        text.map(Some).map_err(|_| CurveError::line(self.number, "is not text"))
    }

    /// The error that the present line does not fit.
    pub fn misfit(&self, what: impl Into<String>) -> CurveError {
        CurveError::line(self.number(), what)
    }
}
