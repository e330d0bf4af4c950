//! Who asks for users.

use exeat_directory::Tenant;
use exeat_gate::{Field, FieldClass};

/// Who asks, and what they may have.
#[derive(Clone, Debug)]
pub struct Requester {
    /// Whose users they are.
    pub tenant: Tenant,
    /// Who it is, for the audit trail.
    pub actor: String,
    /// Which fields they may have.
    pub rights: FieldRights,
}

/// Which of the fields that can leave somebody may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldRights {
    /// All but the sensitive ones.
    Ordinary,
    /// All.
    Sensitive,
}

impl FieldRights {
    /// Whether somebody with these rights may have this field.
    pub fn cover(self, field: &Field) -> bool {
        self == Self::Sensitive || field.class != FieldClass::OptionalSensitive
    }
}
