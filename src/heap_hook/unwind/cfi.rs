//! Call frame information: how the caller's registers are found from a program counter.
//!
//! Three registers are followed: the stack pointer, the frame pointer and the return address. A function whose frame
//! can only be found through another register ends the stack.

use super::cursor::Cursor;
use super::modules::Module;

/// DWARF's number of the frame pointer.
pub const FRAME: u64 = 6;
/// DWARF's number of the stack pointer.
pub const STACK: u64 = 7;
/// DWARF's number of the return address.
pub const RETURN: u64 = 16;

/// The address that a frame is described from.
#[derive(Clone, Copy, Debug)]
pub enum Cfa {
    /// The stack pointer and an offset.
    Stack(i64),
    /// The frame pointer and an offset.
    Frame(i64),
    /// What this expression says.
    Expression(Cursor),
    /// Another register: not known here.
    Unknown,
}

/// Where a register of the caller is.
#[derive(Clone, Copy, Debug)]
pub enum Saved {
    /// In the register, as it was.
    Same,
    /// Nowhere. The outermost function says so of its return address.
    Undefined,
    /// In memory, so far from the frame's address.
    At(i64),
    /// The frame's address and an offset is its value.
    Value(i64),
    /// In memory, at the address that this expression says.
    Expression(Cursor),
    /// This expression is its value.
    ValueExpression(Cursor),
    /// In another register: not known here.
    Unknown,
}

/// How to get from a function to its caller.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// The frame's address, which is the caller's stack pointer.
    pub cfa: Cfa,
    /// The return address.
    pub pc: Saved,
    /// The caller's frame pointer.
    pub bp: Saved,
    /// The frame was made by the kernel: its return address is no return address.
    pub is_signal: bool,
}

struct Common {
    code: u64,
    data: i64,
    encoding: u8,
    has_augmentation: bool,
    is_signal: bool,
    instructions: Cursor,
}

/// The rule of a program counter, by the description at this address.
pub fn rule(module: &Module, description: usize, pc: usize) -> Option<Rule> {
    let mut entry = module.cursor(description)?;
    let mut fde = body(&mut entry)?;
    let back = fde.at();
    let offset = fde.u32()? as usize;
    if offset == 0 {
        return None;
    }
    let common = common(module, back.checked_sub(offset)?)?;
    let begin = fde.pointer(common.encoding, 0)?;
    let length = fde.plain(common.encoding)? as usize;
    if pc < begin || pc - begin >= length {
        return None;
    }
    if common.has_augmentation {
        let bytes = fde.uleb()?;
        fde.skip(bytes)?;
    }
    let start = Row { cfa: Cfa::Unknown, pc: Saved::Undefined, bp: Saved::Same };
    let mut machine = Machine { row: start, initial: start, kept: [start; KEPT], depth: 0, common: &common };
    machine.run(common.instructions, begin, usize::MAX)?;
    machine.initial = machine.row;
    machine.run(fde, begin, pc)?;
    let Row { cfa, pc, bp } = machine.row;
    Some(Rule { cfa, pc, bp, is_signal: common.is_signal })
}

/// The bytes of an entry after its length.
fn body(entry: &mut Cursor) -> Option<Cursor> {
    match entry.u32()? {
        0 | 0xffff_ffff => None,
        length => entry.first(u64::from(length)),
    }
}

fn common(module: &Module, at: usize) -> Option<Common> {
    let mut entry = module.cursor(at)?;
    let mut cie = body(&mut entry)?;
    if cie.u32()? != 0 {
        return None;
    }
    let version = cie.u8()?;
    let mut names = cie;
    let mut length = 1;
    while cie.u8()? != 0 {
        length += 1;
    }
    let code = cie.uleb()?;
    let data = cie.sleb()?;
    let register = if version == 1 { u64::from(cie.u8()?) } else { cie.uleb()? };
    if register != RETURN || !matches!(version, 1 | 3) {
        return None;
    }
    let mut common = Common { code, data, encoding: 0, has_augmentation: false, is_signal: false, instructions: cie };
    if length > 1 {
        common.augmentation(&mut names, cie)?;
    }
    Some(common)
}

impl Common {
    /// Reads what the augmentation says, which begins with a `z` where it is understood at all.
    fn augmentation(&mut self, names: &mut Cursor, mut cie: Cursor) -> Option<()> {
        if names.u8()? != b'z' {
            return None;
        }
        self.has_augmentation = true;
        let bytes = cie.uleb()?;
        let mut values = cie.first(bytes)?;
        cie.skip(bytes)?;
        self.instructions = cie;
        loop {
            match names.u8()? {
                0 => return Some(()),
                b'R' => self.encoding = values.u8()?,
                b'L' => values.skip(1)?,
                b'P' => {
                    let encoding = values.u8()?;
                    values.plain(encoding)?;
                }
                b'S' => self.is_signal = true,
                b'B' => {}
                _ => return None,
            }
        }
    }
}

#[derive(Clone, Copy)]
struct Row {
    cfa: Cfa,
    pc: Saved,
    bp: Saved,
}

/// Rows that a function may put aside at once. Compilers nest them once or twice.
const KEPT: usize = 6;

struct Machine<'a> {
    row: Row,
    initial: Row,
    kept: [Row; KEPT],
    depth: usize,
    common: &'a Common,
}

impl Machine<'_> {
    /// Runs instructions until one of them is for a place behind `pc`.
    fn run(&mut self, mut code: Cursor, mut at: usize, pc: usize) -> Option<()> {
        while !code.is_done() {
            let byte = code.u8()?;
            let low = u64::from(byte & 0x3f);
            let step = match (byte >> 6, byte) {
                (1, _) => low,
                (2, _) => {
                    let offset = self.factored(code.uleb()?);
                    self.save(low, Saved::At(offset));
                    continue;
                }
                (3, _) => {
                    self.restore(low);
                    continue;
                }
                (_, 0x02) => u64::from(code.u8()?),
                (_, 0x03) => u64::from(code.u16()?),
                (_, 0x04) => u64::from(code.u32()?),
                (_, 0x01) => {
                    at = code.pointer(self.common.encoding, 0)?;
                    if at > pc {
                        break;
                    }
                    continue;
                }
                (_, other) => {
                    self.other(other, &mut code)?;
                    continue;
                }
            };
            at = at.wrapping_add(step.wrapping_mul(self.common.code) as usize);
            if at > pc {
                break;
            }
        }
        Some(())
    }

    fn factored(&self, offset: u64) -> i64 {
        (offset as i64).wrapping_mul(self.common.data)
    }

    fn save(&mut self, register: u64, saved: Saved) {
        match register {
            FRAME => self.row.bp = saved,
            RETURN => self.row.pc = saved,
            _ => {}
        }
    }

    fn restore(&mut self, register: u64) {
        match register {
            FRAME => self.row.bp = self.initial.bp,
            RETURN => self.row.pc = self.initial.pc,
            _ => {}
        }
    }

    fn define(&mut self, register: u64, offset: i64) {
        self.row.cfa = match register {
            STACK => Cfa::Stack(offset),
            FRAME => Cfa::Frame(offset),
            _ => Cfa::Unknown,
        };
    }

    /// An instruction that moves nothing in the code.
    fn other(&mut self, instruction: u8, code: &mut Cursor) -> Option<()> {
        match instruction {
            0x00 => {}
            0x0a => {
                *self.kept.get_mut(self.depth)? = self.row;
                self.depth += 1;
            }
            0x0b => {
                self.depth = self.depth.checked_sub(1)?;
                self.row = *self.kept.get(self.depth)?;
            }
            0x0c..=0x0f | 0x12 | 0x13 => self.frame(instruction, code)?,
            // GNU_args_size: how far arguments were pushed; of no matter here.
            0x2e => {
                code.uleb()?;
            }
            // GNU_window_save and its like are of other machines.
            _ => self.register(instruction, code)?,
        }
        Some(())
    }

    /// An instruction about the frame's address.
    fn frame(&mut self, instruction: u8, code: &mut Cursor) -> Option<()> {
        match instruction {
            0x0c => {
                let register = code.uleb()?;
                self.define(register, code.uleb()? as i64);
            }
            0x12 => {
                let register = code.uleb()?;
                let offset = code.sleb()?;
                self.define(register, offset.wrapping_mul(self.common.data));
            }
            0x0d => {
                let register = code.uleb()?;
                match self.row.cfa {
                    Cfa::Stack(offset) | Cfa::Frame(offset) => self.define(register, offset),
                    Cfa::Expression(_) | Cfa::Unknown => return None,
                }
            }
            0x0e => self.offset(code.uleb()? as i64),
            0x13 => {
                let offset = code.sleb()?;
                self.offset(offset.wrapping_mul(self.common.data));
            }
            _ => self.row.cfa = Cfa::Expression(block(code)?),
        }
        Some(())
    }

    fn offset(&mut self, offset: i64) {
        self.row.cfa = match self.row.cfa {
            Cfa::Stack(_) => Cfa::Stack(offset),
            Cfa::Frame(_) => Cfa::Frame(offset),
            other => other,
        };
    }

    /// An instruction about one register of the caller.
    fn register(&mut self, instruction: u8, code: &mut Cursor) -> Option<()> {
        let register = code.uleb()?;
        let saved = match instruction {
            0x05 => Saved::At(self.factored(code.uleb()?)),
            0x06 => {
                self.restore(register);
                return Some(());
            }
            0x07 => Saved::Undefined,
            0x08 => Saved::Same,
            0x09 => {
                code.uleb()?;
                Saved::Unknown
            }
            0x10 => Saved::Expression(block(code)?),
            0x11 => Saved::At(code.sleb()?.wrapping_mul(self.common.data)),
            0x14 => Saved::Value(self.factored(code.uleb()?)),
            0x15 => Saved::Value(code.sleb()?.wrapping_mul(self.common.data)),
            0x16 => Saved::ValueExpression(block(code)?),
            0x2f => Saved::At(self.factored(code.uleb()?).wrapping_neg()),
            _ => return None,
        };
        self.save(register, saved);
        Some(())
    }
}

fn block(code: &mut Cursor) -> Option<Cursor> {
    let length = code.uleb()?;
    let block = code.first(length)?;
    code.skip(length)?;
    Some(block)
}
