//! Makes components of modules, so that only what a guest is about is wrong with it.

use std::path::Path;

use wasm_encoder::{ComponentInstanceSection, ComponentSection as _, ComponentSectionId, RawSection};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::{PackageId, Resolve};

/// The contract.
const WIT: &str = include_str!("../../../wit/v0_1/exeat.wit");

/// What all components begin with.
const HEADER: &[u8] = b"\0asm\x0d\0\x01\0";

/// A transform of these module fields and of the defaults that they do not define. `widened` is a
/// package whose world takes the place of the contract's.
pub(super) fn guest(defaults: &Path, fields: &str, widened: Option<&str>) -> Vec<u8> {
    let mut text = format!("(module\n{fields}\n");
    for name in super::names(defaults, "wat") {
        if !defines(fields, &name) {
            text += &super::read(&defaults.join(name).with_extension("wat"));
        }
    }
    text += ")";
    let mut module = wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let mut resolve = Resolve::default();
    let mut package = package(&mut resolve, WIT);
    if let Some(widened) = widened {
        package = self::package(&mut resolve, widened);
    }
    let world = resolve
        .select_world(&[package], Some("transform-plugin"))
        .expect("the package has the world");
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)
        .expect("the world can be embedded");
    ComponentEncoder::default()
        .module(&module)
        .and_then(|mut encoder| encoder.encode())
        .unwrap_or_else(|error| panic!("{error:#}"))
}

/// Whether module fields define `$name`.
fn defines(fields: &str, name: &str) -> bool {
    ["data", "func", "global", "memory", "table"].iter().any(|kind| {
        let definition = format!("({kind} ${name}");
        fields
            .match_indices(&definition)
            .any(|(at, found)| fields[at + found.len()..].starts_with([' ', '\n', ')']))
    })
}

fn package(resolve: &mut Resolve, wit: &str) -> PackageId {
    resolve
        .push_source("hostile.wit", wit)
        .unwrap_or_else(|error| panic!("{error:#}"))
}

/// Puts a module or a component into a component. A component is instantiated with it, a module
/// lies there and is not.
pub(super) fn put_beside(mut component: Vec<u8>, guest: &[u8]) -> Vec<u8> {
    if !guest.starts_with(HEADER) {
        section(&mut component, ComponentSectionId::CoreModule, guest);
        return component;
    }
    let place = nested_components(&component);
    section(&mut component, ComponentSectionId::Component, guest);
    let mut instances = ComponentInstanceSection::new();
    instances.instantiate::<_, &str>(place, []);
    instances.append_to_component(&mut component);
    component
}

fn section(component: &mut Vec<u8>, id: ComponentSectionId, data: &[u8]) {
    RawSection { id: id.into(), data }.append_to_component(component);
}

/// How many components lie in a component: the index that the next one has.
fn nested_components(component: &[u8]) -> u32 {
    let mut count = 0;
    let mut rest = &component[HEADER.len()..];
    while let [id, after @ ..] = rest {
        if *id == u8::from(ComponentSectionId::Component) {
            count += 1;
        }
        let (size, after) = number(after);
        rest = &after[size..];
    }
    count
}

/// A LEB128 number, and what follows it.
fn number(bytes: &[u8]) -> (usize, &[u8]) {
    let mut number = 0;
    let mut shift = 0;
    for (at, byte) in bytes.iter().enumerate() {
        number |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return (number, &bytes[at + 1..]);
        }
        shift += 7;
    }
    panic!("the component is cut short")
}
