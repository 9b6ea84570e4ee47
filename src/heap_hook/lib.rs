//! The allocation sampler: a library of a few kilobytes that stands before the allocator of another program.
//!
//! It answers one question for a reader outside: which call stacks hold how many live bytes. It samples allocations
//! by bytes ([`sampling`]), takes the stack of each sample ([`unwind`]), and keeps the live ones in a table that is shared
//! through a file ([`wire`], [`table`]). Every call is still served by the real allocator: no block is moved, enlarged
//! or kept. It prints nothing, starts no thread, holds no descriptor, and where it cannot work it passes every call on.
//!
//! The build script compiles it on its own, without the standard library and with the C library as its one
//! dependency, under `--cfg tidewatch_hook`. The same sources are an example target of the package, so that lints and unit
//! tests reach them; there nothing is exported under the names of the C library.

#![cfg_attr(tidewatch_hook, no_std)]
#![cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]

#[cfg(not(tidewatch_hook))]
extern crate core;

mod arena;
pub mod attach;
mod blocks;
pub mod entry;
mod figures;
pub mod order;
pub mod orders;
mod real;
mod sampling;
mod slots;
mod state;
mod sys;
mod table;
#[cfg(test)]
mod tests;
mod unwind;
pub mod visit;
pub mod wire;

#[cfg(tidewatch_hook)]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: ends the process. Nothing in here panics; the compiler asks for the function.
    unsafe { core::arch::asm!("ud2", options(noreturn, nostack)) }
}
