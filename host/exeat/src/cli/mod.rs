//! Commands and flags.

mod jobs;
mod place;
mod plugin;

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use exeat_api::OidcSettings;
use exeat_directory::tokens::Scope;
use exeat_encode::{Compression, Format, FormulaPolicy};

pub(crate) use jobs::{JobArg, JobHouse, JobsCommand, WorkArgs};
pub(crate) use place::{HouseArgs, OptionalHouseArgs, Place};
pub(crate) use plugin::{BenchArgs, ComponentArg, KindArg, LangArg, PluginCommand, RunArgs, VersionArg};

/// Exeat lets users leave: consistent exports of a tenant's users, without what must not leave.
#[derive(Debug, Parser)]
#[command(name = "exeat", version, propagate_version = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) place: Place,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Export the users of a tenant to a file
    Export(Box<ExportArgs>),
    /// Serve the HTTP API and run the exports that it is asked for
    Serve(ServeArgs),
    /// Run the exports that servers are asked for, beside them or on other machines
    Work(WorkArgs),
    /// See exports, cancel them, and decide how long their files are kept
    #[command(subcommand)]
    Jobs(JobsCommand),
    /// Set up a demo tenant, serve it, and print what to try
    Demo(DemoArgs),
    /// Import or generate users
    #[command(subcommand)]
    Users(UsersCommand),
    /// Create or list tenants
    #[command(subcommand)]
    Tenant(TenantCommand),
    /// Read users from a platform's own database
    #[command(subcommand)]
    Source(SourceCommand),
    /// Create, list or revoke API tokens
    #[command(subcommand)]
    Token(TokenCommand),
    /// Change the key under which download links are signed
    #[command(subcommand)]
    LinkKey(LinkKeyCommand),
    /// Write, try, upload and manage plugins
    #[command(subcommand)]
    Plugin(Box<PluginCommand>),
    /// See what left, what was refused, and who asked
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Print what makes a shell complete the commands
    #[command(after_help = "\
Examples:
  exeat completions bash > /etc/bash_completion.d/exeat
  exeat completions zsh > \"${fpath[1]}/_exeat\"
  exeat completions fish > ~/.config/fish/completions/exeat.fish")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the description of the HTTP API (OpenAPI 3.1)
    #[command(after_help = "\
Examples:
  exeat openapi > openapi.json")]
    Openapi,
    /// List the fields that can leave, and those that never do
    Fields {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

const EXPORT_EXAMPLES: &str = "\
Examples:
  exeat export --tenant acme -o users.csv
  exeat export --tenant acme --filter state=active --filter created_after=2025-01-01 -o active.ndjson
  exeat export --tenant acme --filter 'state eq \"active\" and email ew \"@example.com\"' -o theirs.csv
  exeat export --tenant acme --anonymize --compress zstd -o evidence.csv.zst
  exeat export --tenant acme --transform field-map --config map.json -o mapped.csv
  exeat export --tenant acme --transform pseudonymize --adapter auth0 --on-reject skip -o for-auth0/
  EXEAT_TOKEN=exeat_… exeat export --server https://exports.example.com -o users.csv.gz";

#[derive(Debug, Args)]
#[command(after_help = EXPORT_EXAMPLES)]
pub(crate) struct ExportArgs {
    #[command(flatten)]
    pub(crate) house: HouseArgs,
    /// csv or ndjson; left out, the output's name tells, and ndjson if it does not
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<Format>,
    /// Only users that meet this condition: KEY=VALUE, or an expression of SCIM; may be repeated
    #[arg(long, value_name = "CONDITION")]
    pub(crate) filter: Vec<String>,
    /// Fields, in order; left out, the everyday ones (see exeat fields)
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub(crate) fields: Option<Vec<String>>,
    /// Redact e-mails and names, and every place where they may hide
    #[arg(long)]
    pub(crate) anonymize: bool,
    /// Plugin that changes the rows, NAME or NAME@VERSION; may be repeated, in order
    #[arg(long, value_name = "NAME")]
    pub(crate) transform: Vec<String>,
    /// Plugin that renders the rows for another platform, as files in a folder
    #[arg(long, value_name = "NAME")]
    pub(crate) adapter: Option<String>,
    /// JSON configuration of the --transform or --adapter before it
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Vec<PathBuf>,
    /// none, gzip or zstd; left out, the output's name tells
    #[arg(long, value_name = "METHOD")]
    pub(crate) compress: Option<Compression>,
    /// Against formulas in CSV cells: escape (the default), off or auth0
    #[arg(long, value_name = "POLICY")]
    pub(crate) csv_formulas: Option<FormulaPolicy>,
    /// What happens when a plugin rejects a row
    #[arg(long, value_enum, default_value_t = OnRejectArg::Fail)]
    pub(crate) on_reject: OnRejectArg,
    /// With --on-reject skip: how many rejected rows are borne; left out, 10,000
    #[arg(long, value_name = "ROWS")]
    pub(crate) max_rejects: Option<u64>,
    /// File to write, or folder if there is an adapter; its manifest is written beside it
    #[arg(short, long, value_name = "PATH")]
    pub(crate) output: PathBuf,
    /// Show no progress
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum OnRejectArg {
    /// The export fails and names the row
    Fail,
    /// The row is left out, counted, and listed in rejects.ndjson
    Skip,
}

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1:8787")]
    pub(crate) listen: SocketAddr,
    /// How the server is reached from outside, such as https://exports.example.com: links begin with
    /// it; left out, they begin with the name by which a caller calls the server
    #[arg(long, value_name = "URL", env = "EXEAT_PUBLIC_URL")]
    pub(crate) public_url: Option<String>,
    /// Requests that each token may make in a second, and twice as many at once
    #[arg(long, default_value_t = exeat_api::DEFAULT_RATE, value_name = "REQUESTS")]
    pub(crate) rate_limit: NonZeroU32,
    #[command(flatten)]
    pub(crate) oidc: OidcArgs,
    /// Exports that this process runs at once; with 0, exeat work does it elsewhere
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(..=64))]
    pub(crate) workers: u8,
    #[command(flatten)]
    pub(crate) house: JobHouse,
}

/// Whose tokens are believed beside our own.
#[derive(Debug, Args)]
pub(crate) struct OidcArgs {
    /// Believe the tokens of this OpenID Connect issuer, too, such as https://id.example.com
    #[arg(
        long,
        value_name = "URL",
        env = "EXEAT_OIDC_ISSUER",
        requires = "oidc_audience"
    )]
    pub(crate) oidc_issuer: Option<String>,
    /// For whom its tokens must be meant (aud)
    #[arg(long, value_name = "NAME", env = "EXEAT_OIDC_AUDIENCE")]
    pub(crate) oidc_audience: Option<String>,
    /// The claim of its tokens that holds the tenant's name
    #[arg(
        long,
        value_name = "CLAIM",
        env = "EXEAT_OIDC_TENANT_CLAIM",
        default_value = "tenant"
    )]
    pub(crate) oidc_tenant_claim: String,
    /// The claim of its tokens that holds the scopes, as a text with spaces or a list
    #[arg(
        long,
        value_name = "CLAIM",
        env = "EXEAT_OIDC_SCOPE_CLAIM",
        default_value = "scope"
    )]
    pub(crate) oidc_scope_claim: String,
}

impl OidcArgs {
    pub(crate) fn settings(self) -> Option<OidcSettings> {
        Some(OidcSettings {
            issuer: self.oidc_issuer?,
            audience: self.oidc_audience?,
            tenant_claim: self.oidc_tenant_claim,
            scope_claim: self.oidc_scope_claim,
        })
    }
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1:8787")]
    pub(crate) listen: SocketAddr,
    /// Users of the demo tenant
    #[arg(long, default_value_t = 10_000)]
    pub(crate) users: u64,
}

#[derive(Debug, Subcommand)]
pub(crate) enum UsersCommand {
    /// Import users from NDJSON, CSV or an Auth0 export
    #[command(after_help = "\
Users are matched by user_id: importing a file twice changes nothing. Lines that cannot be
imported are listed in FILE.rejects.ndjson (or --rejects), and the exit code is then 3.

Examples:
  exeat users import --tenant acme users.ndjson
  exeat users import --tenant acme auth0-export.json.gz --rejects rejected.ndjson")]
    Import {
        /// Tenant into which users are imported; created if there is none
        #[arg(long)]
        tenant: String,
        /// Left out, the first byte tells
        #[arg(long, value_enum)]
        format: Option<ImportFormatArg>,
        /// Where rejected lines are listed, as NDJSON
        #[arg(long, value_name = "FILE")]
        rejects: Option<PathBuf>,
        /// The file; gzip is undone
        file: PathBuf,
    },
    /// Generate plausible users with secrets: the same for the same count and seed
    #[command(after_help = "\
Examples:
  exeat users generate --tenant acme --count 100000 --seed 7")]
    Generate {
        /// Tenant for which users are generated; created if there is none
        #[arg(long)]
        tenant: String,
        /// How many
        #[arg(long)]
        count: u64,
        /// Another seed gives other people
        #[arg(long, default_value_t = 0)]
        seed: u64,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum ImportFormatArg {
    /// One JSON object a line: ours, or Auth0's
    Ndjson,
    /// RFC 4180 with a header: ours, or Auth0's
    Csv,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TenantCommand {
    /// Create a tenant, such as one whose users a platform's database has
    Create {
        /// 1 to 64 letters, digits, hyphens and underscores
        name: String,
    },
    /// List the names of all tenants
    List,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SourceCommand {
    /// Print a definition that ships, to be used as it is or adapted
    #[command(after_help = "\
Examples:
  exeat source show keycloak > my-keycloak.toml
  exeat source check --source my-keycloak.toml --source-url postgres://reader@db/keycloak")]
    Show {
        /// keycloak or supabase
        name: String,
    },
    /// Hold the definition of --source against its database, and list what can be exported
    #[command(after_help = "\
Examples:
  exeat source check --source keycloak --source-url postgres://reader@db/keycloak
  exeat export --tenant my-realm --source keycloak --source-url postgres://reader@db/keycloak -o users.csv")]
    Check,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Create a token and print it, once
    #[command(after_help = "\
Examples:
  exeat token create --tenant acme --name backup
  exeat token create --tenant acme --name watcher --scope read:exports --expires-in-days 30")]
    Create {
        /// Tenant that the token can reach
        #[arg(long)]
        tenant: String,
        /// Name, for lists and the audit trail
        #[arg(long)]
        name: String,
        /// What it may do; may be repeated; left out, everything
        #[arg(long)]
        scope: Vec<Scope>,
        /// Days after which it is no longer valid; left out, it is until revoked
        #[arg(long, value_name = "DAYS")]
        expires_in_days: Option<u32>,
    },
    /// List a tenant's tokens
    List {
        /// Tenant
        #[arg(long)]
        tenant: String,
    },
    /// Revoke a token
    Revoke {
        /// Tenant
        #[arg(long)]
        tenant: String,
        /// Identifier, as listed
        token_id: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum LinkKeyCommand {
    /// Sign with a new key from now on
    #[command(after_help = "\
Links that were signed before stay good for as long as they said, an hour at most, unless they are
revoked: do that where the old key may be known to somebody.

Examples:
  exeat link-key rotate
  exeat link-key rotate --revoke")]
    Rotate {
        /// All links that were signed before are good no more
        #[arg(long)]
        revoke: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// List a tenant's audit records as NDJSON, newest first
    #[command(after_help = "\
Examples:
  exeat audit list --tenant acme
  EXEAT_TOKEN=exeat_… exeat audit list --server https://exports.example.com --limit 1000")]
    List {
        #[command(flatten)]
        house: HouseArgs,
        /// How many at most
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
}
