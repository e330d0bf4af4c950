//! The misdeeds, one a file. File, misdeed and test have the same name.

use crate::Behaviour;
use crate::good::Good;

pub mod a_million_losses;
pub mod bytes_before_file;
pub mod counts_do_not_add_up;
pub mod credential_across_chunks;
pub mod file_name_escapes;
pub mod file_name_is_manifest;
pub mod line_break_in_side_line;
pub mod never_finishes;
pub mod same_file_twice;
pub mod too_many_chunks;
pub mod trap_in_finish;

macro_rules! misdeeds {
    ($($name:ident),+ $(,)?) => {
        /// What the configuration may name.
        pub const NAMES: &[&str] = &["none", $(stringify!($name)),+];

        /// The behaviour of this name.
        pub fn of(name: &str) -> Option<Box<dyn Behaviour>> {
            $(
                if name == stringify!($name) {
                    return Some(Box::<$name::Misdeed>::default());
                }
            )+
            (name == "none").then(|| Box::new(Good) as Box<dyn Behaviour>)
        }
    };
}

misdeeds! {
    a_million_losses,
    bytes_before_file,
    counts_do_not_add_up,
    credential_across_chunks,
    file_name_escapes,
    file_name_is_manifest,
    line_break_in_side_line,
    never_finishes,
    same_file_twice,
    too_many_chunks,
    trap_in_finish,
}
