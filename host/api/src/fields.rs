//! What can leave, and what never does.

use aide::axum::ApiRouter;
use aide::axum::routing::get_with;
use axum::Json;
use exeat_gate::{ColumnType, FieldClass, catalog};
use schemars::JsonSchema;
use serde::Serialize;

use crate::App;
use crate::auth::{AnyToken, Granted};
use crate::openapi::Describe as _;
use crate::problem::Problem;

pub(crate) fn routes() -> ApiRouter<App> {
    let summary = "List the fields that can leave, and those that never do";
    ApiRouter::new().api_route(
        "/v1/fields",
        get_with(fields, |op| op.named("listFields", "fields", summary)),
    )
}

/// The export policy.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct FieldsView {
    /// Version of the policy; manifests quote it.
    policy_version: &'static str,
    /// What can leave, in the order of the default output.
    fields: Vec<FieldView>,
    /// What never leaves, by the names under which people ask for it.
    never_exported: Vec<NeverView>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct FieldView {
    name: &'static str,
    #[serde(rename = "type")]
    column_type: ColumnType,
    class: FieldClass,
    /// Whether a user may lack it.
    nullable: bool,
    /// What it is.
    summary: &'static str,
}

#[derive(Debug, Serialize, JsonSchema)]
struct NeverView {
    name: &'static str,
    why: &'static str,
}

/// `GET /v1/fields`.
pub(crate) async fn fields(_granted: Granted<AnyToken>) -> Result<Json<FieldsView>, Problem> {
    let fields = catalog().fields().iter().map(|field| FieldView {
        name: &field.name,
        column_type: field.column_type,
        class: field.class,
        nullable: field.nullable,
        summary: &field.summary,
    });
    let never = catalog().never_names();
    Ok(Json(FieldsView {
        policy_version: catalog().version(),
        fields: fields.collect(),
        never_exported: never.map(|(name, why)| NeverView { name, why }).collect(),
    }))
}
