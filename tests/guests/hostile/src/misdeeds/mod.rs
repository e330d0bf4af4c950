//! The misdeeds, one a file. File, misdeed and test have the same name.

use crate::Behaviour;
use crate::good::Good;

pub mod a_million_rejects;
pub mod allocate_for_ever;
pub mod bitmap_too_short;
pub mod credential_in_constant;
pub mod credential_in_output;
pub mod deep_recursion;
pub mod different_plans;
pub mod fault_with_huge_text;
pub mod grow_memory_step_by_step;
pub mod huge_name_in_plan;
pub mod huge_return;
pub mod invalid_json_in_output;
pub mod invalid_utf8;
pub mod keep_bitmap_too_short;
pub mod leaks_between_batches;
pub mod log_control_characters;
pub mod log_flood;
pub mod log_huge_line;
pub mod missing_column;
pub mod never_name_in_plan;
pub mod offsets_go_back;
pub mod offsets_negative;
pub mod offsets_past_the_end;
pub mod output_expands;
pub mod plan_passes_unknown_column;
pub mod plan_reads_twice;
pub mod plan_reads_unknown_column;
pub mod reject_of_missing_row;
pub mod reject_twice;
pub mod slow_batch;
pub mod spin_in_open;
pub mod spin_in_process;
pub mod thousands_of_columns;
pub mod too_few_rows;
pub mod too_many_rows;
pub mod trap_in_open;
pub mod trap_in_process;
pub mod traps_once_per_instance;
pub mod undeclared_column;
pub mod wrong_column_type;

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
    a_million_rejects,
    allocate_for_ever,
    bitmap_too_short,
    credential_in_constant,
    credential_in_output,
    deep_recursion,
    different_plans,
    fault_with_huge_text,
    grow_memory_step_by_step,
    huge_name_in_plan,
    huge_return,
    invalid_json_in_output,
    invalid_utf8,
    keep_bitmap_too_short,
    leaks_between_batches,
    log_control_characters,
    log_flood,
    log_huge_line,
    missing_column,
    never_name_in_plan,
    offsets_go_back,
    offsets_negative,
    offsets_past_the_end,
    output_expands,
    plan_passes_unknown_column,
    plan_reads_twice,
    plan_reads_unknown_column,
    reject_of_missing_row,
    reject_twice,
    slow_batch,
    spin_in_open,
    spin_in_process,
    thousands_of_columns,
    too_few_rows,
    too_many_rows,
    trap_in_open,
    trap_in_process,
    traps_once_per_instance,
    undeclared_column,
    wrong_column_type,
}
