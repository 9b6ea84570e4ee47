//! Expressions of unwind tables: a small stack machine, as compilers and the linker use it.

use super::Registers;
use super::cfi::{FRAME, RETURN, STACK};
use super::cursor::Cursor;
use super::stack::Stack;

const DEPTH: usize = 16;
/// Instructions that one expression may take; tables have about ten.
const STEPS: usize = 200;

struct Values {
    values: [u64; DEPTH],
    depth: usize,
}

impl Values {
    fn push(&mut self, value: u64) -> Option<()> {
        *self.values.get_mut(self.depth)? = value;
        self.depth += 1;
        Some(())
    }

    fn pop(&mut self) -> Option<u64> {
        self.depth = self.depth.checked_sub(1)?;
        self.values.get(self.depth).copied()
    }

    /// The value so many places below the top.
    fn below(&self, places: usize) -> Option<u64> {
        self.values.get(self.depth.checked_sub(places + 1)?).copied()
    }
}

/// The value of an expression. `first` is what lies on its stack at the begin.
pub fn value(expression: Cursor, registers: &Registers, stack: &mut Stack, first: Option<u64>) -> Option<u64> {
    let mut values = Values { values: [0; DEPTH], depth: 0 };
    if let Some(first) = first {
        values.push(first)?;
    }
    let begin = expression.at();
    let mut code = expression;
    for _ in 0..STEPS {
        if code.is_done() {
            return values.pop();
        }
        step(&mut code, begin, &mut values, registers, stack)?;
    }
    None
}

fn step(code: &mut Cursor, begin: usize, values: &mut Values, registers: &Registers, stack: &mut Stack) -> Option<()> {
    let instruction = code.u8()?;
    match instruction {
        0x30..=0x4f => values.push(u64::from(instruction - 0x30)),
        0x70..=0x8f => {
            let register = match u64::from(instruction - 0x70) {
                FRAME => registers.bp,
                STACK => registers.sp,
                RETURN => registers.pc,
                _ => return None,
            };
            let offset = code.sleb()?;
            values.push((register as u64).wrapping_add_signed(offset))
        }
        0x08..=0x11 => {
            let constant = constant(instruction, code)?;
            values.push(constant)
        }
        0x06 => {
            let address = values.pop()?;
            values.push(stack.read(address as usize)? as u64)
        }
        0x12..=0x17 => shuffle(instruction, code, values),
        0x19 => {
            let value = values.pop()?;
            values.push((value as i64).unsigned_abs())
        }
        0x1f | 0x20 => {
            let value = values.pop()?;
            values.push(if instruction == 0x1f { value.wrapping_neg() } else { !value })
        }
        0x23 => {
            let value = values.pop()?.wrapping_add(code.uleb()?);
            values.push(value)
        }
        0x28 => {
            let offset = i64::from(code.u16()?.cast_signed());
            if values.pop()? != 0 { code.jump(offset, begin) } else { Some(()) }
        }
        0x2f => {
            let offset = i64::from(code.u16()?.cast_signed());
            code.jump(offset, begin)
        }
        0x96 => Some(()),
        _ => {
            let (right, left) = (values.pop()?, values.pop()?);
            values.push(two(instruction, left, right)?)
        }
    }
}

fn constant(instruction: u8, code: &mut Cursor) -> Option<u64> {
    Some(match instruction {
        0x08 => u64::from(code.u8()?),
        0x09 => i64::from(code.u8()?.cast_signed()) as u64,
        0x0a => u64::from(code.u16()?),
        0x0b => i64::from(code.u16()?.cast_signed()) as u64,
        0x0c => u64::from(code.u32()?),
        0x0d => i64::from(code.u32()?.cast_signed()) as u64,
        0x0e | 0x0f => code.u64()?,
        0x10 => code.uleb()?,
        _ => code.sleb()? as u64,
    })
}

fn shuffle(instruction: u8, code: &mut Cursor, values: &mut Values) -> Option<()> {
    let picked = match instruction {
        0x12 => values.below(0)?,
        0x13 => return values.pop().map(|_| ()),
        0x14 => values.below(1)?,
        0x15 => values.below(usize::from(code.u8()?))?,
        0x16 => {
            let (first, second) = (values.pop()?, values.pop()?);
            values.push(first)?;
            second
        }
        _ => {
            let (first, second, third) = (values.pop()?, values.pop()?, values.pop()?);
            values.push(first)?;
            values.push(third)?;
            second
        }
    };
    values.push(picked)
}

fn two(instruction: u8, left: u64, right: u64) -> Option<u64> {
    let (a, b) = (left as i64, right as i64);
    Some(match instruction {
        0x1a => left & right,
        0x1b => a.checked_div(b)? as u64,
        0x1c => left.wrapping_sub(right),
        0x1d => left.checked_rem(right)?,
        0x1e => left.wrapping_mul(right),
        0x21 => left | right,
        0x22 => left.wrapping_add(right),
        0x24 => left.checked_shl(right as u32).unwrap_or(0),
        0x25 => left.checked_shr(right as u32).unwrap_or(0),
        0x26 => a.checked_shr(right as u32).unwrap_or(a >> 63) as u64,
        0x27 => left ^ right,
        0x29 => u64::from(a == b),
        0x2a => u64::from(a >= b),
        0x2b => u64::from(a > b),
        0x2c => u64::from(a <= b),
        0x2d => u64::from(a < b),
        0x2e => u64::from(a != b),
        _ => return None,
    })
}
