//! What Exeat costs, beside what people would use instead.
//!
//! Every comparison runs its contenders in turn, round by round, and tells the median of the rounds'
//! ratios: a machine that is busy for a while is so for all of them. `cargo xtask bench` runs it.
#![expect(missing_debug_implementations, reason = "nobody prints a bench")]

pub mod adapters;
pub mod encoders;
pub mod exports;
pub mod guest;
pub mod life;
pub mod machine;
pub mod native;
pub mod peers;
pub mod people;
pub mod process;
pub mod results;
pub mod rounds;
pub mod scaling;
pub mod setup;
pub mod transforms;
