//! Damaged components, the same for the same seed: what admission is fuzzed with.
//!
//! Nothing but the standard library is used: `cargo xtask fuzz` takes this file in as it is.

/// One of `originals`, damaged as `seed` says. Half of the damage is done to the bytes as they lie:
/// bits flipped, bytes deleted, put in or overwritten, the end cut off. The other half is done to
/// the sections, whose lengths are put right again, so that it gets past the first look: sections
/// swapped, left out, repeated, taken from another component, or damaged inside.
///
/// # Panics
/// There is no original.
pub fn mutated(originals: &[Vec<u8>], seed: u64) -> Vec<u8> {
    let mut dice = Dice(seed);
    let mut component = originals[dice.below(originals.len())].clone();
    let other = &originals[dice.below(originals.len())];
    if dice.below(2) == 0 {
        damage_bytes(&mut component, &mut dice);
    } else {
        damage_sections(&mut component, other, &mut dice);
    }
    component
}

/// SplitMix64: seeds that follow each other give numbers that do not.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`; 0 where there is none.
    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }
}

fn damage_bytes(bytes: &mut Vec<u8>, dice: &mut Dice) {
    if bytes.is_empty() {
        bytes.push(dice.next() as u8);
        return;
    }
    let place = dice.below(bytes.len());
    let stretch = place..bytes.len().min(place + 1 + dice.below(32));
    match dice.below(7) {
        0 | 1 => bytes[place] ^= 1 << dice.below(8),
        2 => {
            for _ in 0..2 + dice.below(15) {
                let place = dice.below(bytes.len());
                bytes[place] ^= 1 << dice.below(8);
            }
        }
        3 => {
            bytes.drain(stretch);
        }
        4 => {
            let new: Vec<u8> = stretch.map(|_| dice.next() as u8).collect();
            bytes.splice(place..place, new);
        }
        // What lengths and counts are made of.
        5 => bytes[stretch].fill([0x00, 0x01, 0x7f, 0x80, 0xff][dice.below(5)]),
        _ => bytes.truncate(place),
    }
}

fn damage_sections(bytes: &mut Vec<u8>, other: &[u8], dice: &mut Dice) {
    let Some(mut sections) = sections(bytes) else {
        return damage_bytes(bytes, dice);
    };
    let (one, two) = (dice.below(sections.len()), dice.below(sections.len()));
    match dice.below(8) {
        0 => sections.swap(one, two),
        1 => {
            sections.remove(one);
        }
        2 => sections.insert(one, sections[two].clone()),
        3 => {
            let mut others = self::sections(other).unwrap_or_default();
            if !others.is_empty() {
                sections.insert(one, others.swap_remove(dice.below(others.len())));
            }
        }
        // A module or component in it has sections of its own.
        4 | 5 if sections[one].body.starts_with(b"\0asm") => {
            damage_sections(&mut sections[one].body, other, dice);
        }
        _ => damage_bytes(&mut sections[one].body, dice),
    }
    bytes.truncate(HEADER_BYTES);
    for Section { id, body } in sections {
        bytes.push(id);
        put_length(bytes, body.len());
        bytes.extend(body);
    }
}

/// Magic number and version.
const HEADER_BYTES: usize = 8;

#[derive(Clone)]
struct Section {
    id: u8,
    body: Vec<u8>,
}

/// The sections of a component or module; nothing where it has none.
fn sections(bytes: &[u8]) -> Option<Vec<Section>> {
    let mut rest = bytes.get(HEADER_BYTES..)?;
    let mut sections = Vec::new();
    while let Some((&id, after)) = rest.split_first() {
        let (length, after) = length(after)?;
        sections.push(Section {
            id,
            body: after.get(..length)?.to_vec(),
        });
        rest = &after[length..];
    }
    (!sections.is_empty()).then_some(sections)
}

/// A length in LEB128, and what comes after it.
fn length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut length = 0;
    for (index, byte) in bytes.iter().take(5).enumerate() {
        length |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((length, &bytes[index + 1..]));
        }
    }
    None
}

fn put_length(bytes: &mut Vec<u8>, mut length: usize) {
    while length >= 0x80 {
        bytes.push(length as u8 | 0x80);
        length >>= 7;
    }
    bytes.push(length as u8);
}
