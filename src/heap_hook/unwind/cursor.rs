//! Reads unwind tables in the memory of a module, never past its end.

/// A place in the tables of a module.
#[derive(Clone, Copy, Debug)]
pub struct Cursor {
    at: usize,
    end: usize,
}

const FORMAT: u8 = 0x0f;
const APPLICATION: u8 = 0x70;
const PC_RELATIVE: u8 = 0x10;
const DATA_RELATIVE: u8 = 0x30;
const INDIRECT: u8 = 0x80;
/// An encoding that says that there is no value.
pub const OMIT: u8 = 0xff;

impl Cursor {
    /// Reads from `at` up to `end`.
    ///
    /// # Safety
    ///
    /// The memory in between stays mapped and readable while the cursor is used.
    pub unsafe fn new(at: usize, end: usize) -> Self {
        Self { at, end: end.max(at) }
    }

    /// The place now.
    pub fn at(&self) -> usize {
        self.at
    }

    /// Whether nothing is left.
    pub fn is_done(&self) -> bool {
        self.at >= self.end
    }

    /// The same place, ending after so many bytes.
    pub fn first(self, bytes: u64) -> Option<Self> {
        let end = self.at.checked_add(bytes as usize)?;
        (end <= self.end).then_some(Self { at: self.at, end })
    }

    /// Passes over so many bytes.
    pub fn skip(&mut self, bytes: u64) -> Option<()> {
        let at = self.at.checked_add(bytes as usize)?;
        if at > self.end {
            return None;
        }
        self.at = at;
        Some(())
    }

    /// Goes back or forth.
    pub fn jump(&mut self, bytes: i64, begin: usize) -> Option<()> {
        let at = self.at.checked_add_signed(bytes as isize)?;
        if at < begin || at > self.end {
            return None;
        }
        self.at = at;
        Some(())
    }

    fn take<T: Copy>(&mut self) -> Option<T> {
        let at = self.at;
        self.skip(size_of::<T>() as u64)?;
        // SAFETY: inside the readable memory that `new` was promised; `T` is a plain number here.
        Some(unsafe { (at as *const T).read_unaligned() })
    }

    /// One byte.
    pub fn u8(&mut self) -> Option<u8> {
        self.take()
    }

    /// Two bytes.
    pub fn u16(&mut self) -> Option<u16> {
        self.take()
    }

    /// Four bytes.
    pub fn u32(&mut self) -> Option<u32> {
        self.take()
    }

    /// Eight bytes.
    pub fn u64(&mut self) -> Option<u64> {
        self.take()
    }

    /// A number in groups of seven bits.
    pub fn uleb(&mut self) -> Option<u64> {
        let (mut value, mut shift) = (0_u64, 0);
        loop {
            let byte = self.u8()?;
            if shift < 64 {
                value |= u64::from(byte & 0x7f) << shift;
            }
            shift += 7;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
    }

    /// A signed number in groups of seven bits.
    pub fn sleb(&mut self) -> Option<i64> {
        let (mut value, mut shift) = (0_i64, 0);
        loop {
            let byte = self.u8()?;
            if shift < 64 {
                value |= i64::from(byte & 0x7f) << shift;
            }
            shift += 7;
            if byte & 0x80 == 0 {
                let is_negative = byte & 0x40 != 0 && shift < 64;
                return Some(if is_negative { value | -1_i64 << shift } else { value });
            }
        }
    }

    /// A number in the format of a pointer encoding, relative to nothing.
    pub fn plain(&mut self, encoding: u8) -> Option<u64> {
        Some(match encoding & FORMAT {
            0x00 | 0x04 | 0x0c => self.u64()?,
            0x01 => self.uleb()?,
            0x02 => u64::from(self.u16()?),
            0x03 => u64::from(self.u32()?),
            0x09 => self.sleb()? as u64,
            0x0a => i64::from(self.u16()?.cast_signed()) as u64,
            0x0b => i64::from(self.u32()?.cast_signed()) as u64,
            _ => return None,
        })
    }

    /// A pointer in a pointer encoding. `data` is what data-relative pointers are relative to.
    pub fn pointer(&mut self, encoding: u8, data: usize) -> Option<usize> {
        let here = self.at;
        let value = self.plain(encoding)? as usize;
        if encoding & INDIRECT != 0 {
            return None;
        }
        match encoding & APPLICATION {
            0 => Some(value),
            PC_RELATIVE => Some(here.wrapping_add(value)),
            DATA_RELATIVE => Some(data.wrapping_add(value)),
            _ => None,
        }
    }
}
