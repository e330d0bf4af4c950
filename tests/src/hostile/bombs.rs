//! Components that are small to make and hard to take, and files that are damaged.
//!
//! A bomb is a good guest and, beside it, instantiated with it, one module that is the bomb: so
//! nothing else is wrong.

use wasm_encoder::{
    BlockType, CodeSection, Component, ComponentSection as _, ConstExpr, CustomSection, DataSection,
    Function, FunctionSection, InstanceSection, Instruction, MemorySection, MemoryType, Module,
    ModuleSection, TypeSection, ValType,
};

use super::{compose, wat_guest};

/// Bytes of the longest function that the validator takes, less some room.
const LONGEST_BODY_BYTES: usize = 7_000_000;

/// A name, and what makes the bytes.
pub type Bomb = (&'static str, fn() -> Vec<u8>);

/// All that take no argument.
pub const ALL: [Bomb; 10] = [
    (
        "hundreds_of_thousands_of_functions",
        hundreds_of_thousands_of_functions,
    ),
    ("one_enormous_function", one_enormous_function),
    ("deep_nesting", deep_nesting),
    ("huge_data_segments", huge_data_segments),
    ("huge_br_table", huge_br_table),
    ("many_br_tables", many_br_tables),
    ("many_locals", many_locals),
    ("many_types", many_types),
    ("zero_length", zero_length),
    ("too_large", too_large),
];

/// 300,000 small functions: 3 MB that the compiler has to look at one by one.
pub fn hundreds_of_thousands_of_functions() -> Vec<u8> {
    beside_good(&module_of((0..300_000).map(|number| {
        let mut function = Function::new([]);
        function
            .instruction(&Instruction::LocalGet(0))
            .instruction(&Instruction::I32Const(number))
            .instruction(&Instruction::I32Add)
            .instruction(&Instruction::End);
        function
    })))
}

/// One function of 7 MB with half a million branches: what compilers do for each pair of blocks shows here.
pub fn one_enormous_function() -> Vec<u8> {
    let mut function = Function::new([(8, ValType::I32)]);
    let mut number = 0;
    while function.byte_len() < LONGEST_BODY_BYTES {
        number += 1;
        function
            .instruction(&Instruction::Block(BlockType::Empty))
            .instruction(&Instruction::LocalGet(number % 9))
            .instruction(&Instruction::BrIf(0))
            .instruction(&Instruction::LocalGet((number + 4) % 9))
            .instruction(&Instruction::LocalSet((number + 1) % 9))
            .instruction(&Instruction::End);
    }
    function
        .instruction(&Instruction::LocalGet(1))
        .instruction(&Instruction::End);
    beside_good(&module_of([function]))
}

/// Two million blocks in each other: who recurses over them runs out of stack.
pub fn deep_nesting() -> Vec<u8> {
    const DEPTH: u32 = 2_000_000;
    let mut function = Function::new([]);
    for _ in 0..DEPTH {
        function.instruction(&Instruction::Block(BlockType::Empty));
    }
    function
        .instruction(&Instruction::LocalGet(0))
        .instruction(&Instruction::BrIf(DEPTH - 1));
    for _ in 0..DEPTH {
        function.instruction(&Instruction::End);
    }
    function
        .instruction(&Instruction::LocalGet(0))
        .instruction(&Instruction::End);
    beside_good(&module_of([function]))
}

/// 31 MiB of data in 31 segments: just under the limit of an upload, and all of it ends in memory.
pub fn huge_data_segments() -> Vec<u8> {
    let mut memories = MemorySection::new();
    memories.memory(MemoryType {
        minimum: 31 * 16,
        maximum: None,
        memory64: false,
        shared: false,
        page_size_log2: None,
    });
    let mut data = DataSection::new();
    for mebibyte in 0..31_u8 {
        let bytes = std::iter::repeat_n(mebibyte + 1, 1 << 20);
        data.active(0, &ConstExpr::i32_const(i32::from(mebibyte) << 20), bytes);
    }
    let mut module = Module::new();
    module.section(&memories).section(&data);
    beside_good(&module)
}

/// A branch table of 7 million targets: more than the compiler takes, not more than the format.
pub fn huge_br_table() -> Vec<u8> {
    branch_tables(1, LONGEST_BODY_BYTES)
}

/// 107 branch tables of 65,000 targets each in one function, which the compiler takes.
pub fn many_br_tables() -> Vec<u8> {
    branch_tables(107, 65_000)
}

fn branch_tables(tables: usize, targets: usize) -> Vec<u8> {
    const BLOCKS: u32 = 100;
    let targets: Vec<u32> = (0..targets as u32).map(|target| target % BLOCKS).collect();
    let mut function = Function::new([]);
    for _ in 0..tables {
        for _ in 0..BLOCKS {
            function.instruction(&Instruction::Block(BlockType::Empty));
        }
        function
            .instruction(&Instruction::LocalGet(0))
            .instruction(&Instruction::BrTable(targets.as_slice().into(), 0));
        for _ in 0..BLOCKS {
            function.instruction(&Instruction::End);
        }
    }
    function
        .instruction(&Instruction::LocalGet(0))
        .instruction(&Instruction::End);
    beside_good(&module_of([function]))
}

/// 20,000 functions of 50,000 locals each: 200 KB that stand for a billion variables.
pub fn many_locals() -> Vec<u8> {
    beside_good(&module_of((0..20_000).map(|_| {
        let mut function = Function::new([(49_000, ValType::I64)]);
        function
            .instruction(&Instruction::LocalGet(0))
            .instruction(&Instruction::End);
        function
    })))
}

/// 400,000 function types, each different from the others.
pub fn many_types() -> Vec<u8> {
    const KINDS: [ValType; 4] = [ValType::I32, ValType::I64, ValType::F32, ValType::F64];
    let mut types = TypeSection::new();
    for number in 0..400_000_usize {
        let params = (0..10).map(|digit| KINDS[number >> (2 * digit) & 3]);
        types.ty().function(params, []);
    }
    let mut module = Module::new();
    module.section(&types);
    beside_good(&module)
}

/// No byte at all.
pub fn zero_length() -> Vec<u8> {
    Vec::new()
}

/// A good component that is 33 MiB long: it has a custom section that means nothing.
pub fn too_large() -> Vec<u8> {
    let mut component = wat_guest("none");
    let padding = CustomSection {
        name: "padding".into(),
        data: vec![0; (33 << 20) - component.len()].into(),
    };
    padding.append_to_component(&mut component);
    component
}

/// The first sixteenths of a component, from none to fifteen.
pub fn truncated(component: &[u8]) -> Vec<Vec<u8>> {
    (0..16)
        .map(|part| component[..component.len() * part / 16].to_vec())
        .collect()
}

/// A component with one bit flipped. The same seed flips the same bit.
pub fn bit_flipped(component: &[u8], seed: u64) -> Vec<u8> {
    // SplitMix64: seeds that follow each other give bits that do not.
    let mut mixed = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    let bit = ((mixed ^ (mixed >> 31)) % (component.len() as u64 * 8)) as usize;
    let mut flipped = component.to_vec();
    flipped[bit / 8] ^= 1 << (bit % 8);
    flipped
}

/// A module of functions from i32 to i32.
fn module_of(bodies: impl IntoIterator<Item = Function>) -> Module {
    let mut types = TypeSection::new();
    types.ty().function([ValType::I32], [ValType::I32]);
    let mut functions = FunctionSection::new();
    let mut code = CodeSection::new();
    for body in bodies {
        functions.function(0);
        code.function(&body);
    }
    let mut module = Module::new();
    module.section(&types).section(&functions).section(&code);
    module
}

/// A good component that has a module beside its guest, and instantiates it.
fn beside_good(module: &Module) -> Vec<u8> {
    let mut component = Component::new();
    component.section(&ModuleSection(module));
    let mut instances = InstanceSection::new();
    instances.instantiate::<_, &str>(0, []);
    component.section(&instances);
    compose::put_beside(wat_guest("none"), component.as_slice())
}
