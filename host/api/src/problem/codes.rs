//! Every code that a problem can have.

/// What a problem can be.
#[derive(Debug)]
pub(crate) struct Code {
    /// Stable, for programs.
    pub(crate) name: &'static str,
    /// Status of such answers.
    pub(crate) status: u16,
    /// What it is, in a few words.
    pub(crate) title: &'static str,
    /// What it means, and what to do.
    pub(crate) meaning: &'static str,
}

const fn code(name: &'static str, status: u16, title: &'static str, meaning: &'static str) -> Code {
    Code {
        name,
        status,
        title,
        meaning,
    }
}

/// Those that are somebody's to mend.
const CODES: &[Code] = &[
    code(
        "unauthorized",
        401,
        "No valid token",
        "The request has no bearer token, or one that is unknown, expired or revoked. Send: Authorization: Bearer exeat_…",
    ),
    code(
        "missing-scope",
        403,
        "The token lacks a scope",
        "The token is valid but was not given the scope that this operation needs. Make another with exeat token create.",
    ),
    code(
        "rate-limited",
        429,
        "The token asks too often",
        "Each token may ask so many times a second. Ask again when Retry-After says.",
    ),
    code(
        "too-slow",
        408,
        "The request took too long",
        "The request did not arrive, or was not answered, in time. Send it again; for much, request an export.",
    ),
    code(
        "idempotency-key-used",
        422,
        "The key stands for another request",
        "An Idempotency-Key stands for one request for a day. Choose a new one for each.",
    ),
    code(
        "not-ended",
        409,
        "The export has not ended",
        "Only an export that has ended can be deleted. Cancel it first.",
    ),
    code(
        "too-large-preview",
        422,
        "These users are too much to be shown at once",
        "Ask for fewer, or for fewer fields, or request an export.",
    ),
    code(
        "invalid-name",
        422,
        "The name cannot be",
        "A name has 1 to 64 letters, digits, hyphens and underscores.",
    ),
    code(
        "too-large-preset",
        422,
        "The preset is too large",
        "A preset has at most 16 KiB. Give what is large with each request.",
    ),
    code(
        "too-many-listeners",
        429,
        "Too many listen at once",
        "Each listener holds a connection. Ask for the export itself from time to time, or have a webhook told.",
    ),
    code(
        "too-many-presets",
        409,
        "The tenant has too many presets",
        "Delete those that nobody needs any more.",
    ),
    code(
        "too-many-webhooks",
        409,
        "The tenant has too many webhooks",
        "Delete those that nobody needs any more.",
    ),
    code(
        "invalid-webhook-url",
        422,
        "Nothing is sent to this address",
        "A webhook's address begins with https://, holds no password, and leads to a public address.",
    ),
    code(
        "not-found",
        404,
        "Nothing is here",
        "There is nothing of this name, or it belongs to another tenant.",
    ),
    code(
        "method-not-allowed",
        405,
        "The resource has no such method",
        "The resource is there, but cannot be asked like this.",
    ),
    code(
        "not-acceptable",
        406,
        "Users do not come in such a form",
        "Users are streamed as NDJSON or CSV. Send one of their media types as Accept, or leave it out.",
    ),
    code(
        "too-many-streams",
        429,
        "Too many streams at once",
        "Each stream holds a snapshot open. Try again when another has ended, or request an export.",
    ),
    code(
        "not-ready",
        409,
        "The export is not completed",
        "The files of an export can be fetched once its state is completed.",
    ),
    code(
        "link-invalid",
        403,
        "The link is not good",
        "The link is not as it was signed, or the operator revoked the key under which it was. Make another.",
    ),
    code(
        "link-expired",
        403,
        "The link has expired",
        "Links are good for 60 seconds unless whoever makes one says otherwise. Make another.",
    ),
    code(
        "link-used",
        403,
        "The link was used",
        "The link was good for one download and had it. Make another, without single_use if the download is to be resumed.",
    ),
    code(
        "link-not-allowed",
        403,
        "The link's token may not download",
        "A link speaks for the token in whose name it was made, and that was revoked, has expired, or lacks read:exports.",
    ),
    code(
        "precondition-failed",
        412,
        "The file is another",
        "The request named the file that it wants by If-Match, and this is not it.",
    ),
    code(
        "range-not-satisfiable",
        416,
        "The file has no such part",
        "The range lies beyond the end of the file; Content-Range says how long it is.",
    ),
    code(
        "invalid-json",
        400,
        "The body is not what it should be",
        "The body is not JSON, or holds something that this operation does not know.",
    ),
    code(
        "invalid-query",
        400,
        "The query is not what it should be",
        "The query string holds a parameter that this operation does not know, or a value that cannot be.",
    ),
    code(
        "too-large",
        413,
        "The body is too large",
        "A request has at most 1 MiB, a component at most 32 MiB.",
    ),
    code(
        "unsupported-media-type",
        415,
        "The body is not JSON",
        "Send: Content-Type: application/json",
    ),
    code(
        "never-exported",
        422,
        "This never leaves",
        "Some fields are in no export, whoever asks: password hashes, MFA secrets, refresh and federated tokens, plaintext phone numbers. An export must be of no use to an attacker who gets hold of it.",
    ),
    code(
        "unknown-field",
        422,
        "There is no such field",
        "GET /v1/fields lists what can leave.",
    ),
    code(
        "invalid-fields",
        422,
        "The fields cannot be exported like this",
        "A field is named twice, or none is named.",
    ),
    code(
        "invalid-filter",
        422,
        "The filter is wrong",
        "A condition has an unknown key or a value that cannot be; pointer and offset say where.",
    ),
    code(
        "invalid-limit",
        422,
        "The limit cannot be",
        "A limit is a whole number of users, at least 1.",
    ),
    code(
        "too-much-metadata",
        422,
        "There is too much metadata",
        "What is kept with an export has at most 32 KiB. Keep the rest yourself, under the export's id.",
    ),
    code(
        "unknown-plugin",
        422,
        "There is no such plugin",
        "GET /v1/plugins lists what there is.",
    ),
    code(
        "wrong-plugin-kind",
        422,
        "The plugin is of the other kind",
        "Transforms change rows, an adapter renders them; each is named in its own place.",
    ),
    code(
        "invalid-config",
        422,
        "A plugin refuses its configuration",
        "The pointer says where; the plugin's schema (GET /v1/plugins) says what it takes.",
    ),
    code(
        "missing-field",
        422,
        "A plugin lacks a field",
        "The plugin needs a field that the request leaves out.",
    ),
    code(
        "plugin-not-usable",
        409,
        "The plugin cannot be used",
        "The version is still being admitted, was refused, was disabled, or is quarantined because it broke down. Its owner can enable it again.",
    ),
    code(
        "plugin-refused",
        422,
        "The component is not admitted",
        "The reason is a code of its own: too-large, not-wasm, core-module, invalid-wasm, feature-not-allowed, import-not-allowed, no-world, wrong-version, too-much-memory, too-large-table, too-complex, compile-failed, compile-time, compile-broke-down, wrong-world, describe-failed, invalid-description, invalid-config-schema, not-reproducible, name-mismatch, smoke-run-failed, or host-fault (ours: upload it again). exeat plugin check says the same, offline.",
    ),
    code(
        "version-exists",
        409,
        "The version exists with other bytes",
        "A version of a plugin never changes. Upload the component as another version.",
    ),
    code(
        "too-many-versions",
        409,
        "The tenant has too many plugin versions",
        "Delete those that no export needs any more.",
    ),
    code(
        "reserved-name",
        422,
        "The name is taken by a plugin that ships",
        "Choose another name.",
    ),
    code(
        "too-many-uploads",
        429,
        "Too many uploads at once",
        "Components are looked at and compiled one after the other. Try again in a minute.",
    ),
    code(
        "busy",
        503,
        "Too many plugins are at work",
        "The sandbox has no place free. Try again in a moment.",
    ),
    code(
        "too-many-exports",
        429,
        "Too many exports of this tenant wait",
        "A tenant may have so many exports waiting. Try again when some of them are done, as Retry-After says.",
    ),
    code(
        "not-cancellable",
        409,
        "The export has ended",
        "Only an export that waits or runs can be cancelled.",
    ),
    code(
        "held",
        409,
        "The files are to be kept",
        "Somebody ordered that the files of this export are kept (PUT /v1/exports/{id}/hold). DELETE lifts the order.",
    ),
    code(
        "no-files",
        410,
        "The export has no files any more",
        "Files are kept for seven days, unless the request or the operator says less. The record of the export stays.",
    ),
    code(
        "wrong-source",
        422,
        "Users are read from somewhere else",
        "The request names a source of users (exeat, or a platform's definition), and it is not the one from which they are read here.",
    ),
    code(
        "wrong-tenant",
        422,
        "The source holds another tenant's users",
        "The platform's database from which users are read holds those of one tenant, and its definition says of which.",
    ),
    code(
        "invalid-duration",
        422,
        "The time is too long or too short",
        "It is a number of seconds, up to what the operator allows.",
    ),
    code(
        "unavailable",
        503,
        "The server cannot reach its database or its store",
        "Nothing was done. Try again in a moment, as Retry-After says.",
    ),
    code(
        "plugin-in-use",
        409,
        "An export uses the plugin",
        "A version can be deleted when no export that is queued or running uses it.",
    ),
    code(
        "plugin-failed",
        422,
        "The plugin failed",
        "It was stopped, broke the contract or said no while it was opened or tried; the detail says how. A version that breaks down too often is quarantined.",
    ),
    code(
        "invalid-rows",
        422,
        "The sample rows are wrong",
        "A row is a JSON object of fields that can leave (GET /v1/fields), each with a value of its type.",
    ),
    code(
        "limit-above-ceiling",
        422,
        "A limit cannot be set like this",
        "A limit is more than 0 and at most the operator's ceiling.",
    ),
    code(
        "conflict",
        422,
        "Parts of the request contradict each other",
        "The detail says which.",
    ),
];

/// What is not the caller's fault is not explained to the caller.
const INTERNAL: Code = code(
    "internal",
    500,
    "The server failed",
    "The server's log says more. Nothing was exported.",
);

/// The code of this name.
pub(crate) fn find(name: &str) -> Option<&'static Code> {
    CODES.iter().chain([&INTERNAL]).find(|code| code.name == name)
}

/// The same for names of our own.
pub(crate) fn known(name: &'static str) -> &'static Code {
    debug_assert!(find(name).is_some(), "{name} is explained to nobody");
    find(name).unwrap_or(&INTERNAL)
}
