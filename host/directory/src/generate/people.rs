//! Names and words of which people are made. No name is part of another word in these lists, so
//! that a search for a person finds the person.

/// Given names as written, and in ASCII.
pub(super) const GIVEN_NAMES: [(&str, &str); 36] = [
    ("Anita", "anita"),
    ("Zoë", "zoe"),
    ("Björn", "bjorn"),
    ("Chloé", "chloe"),
    ("Darius", "darius"),
    ("Émile", "emile"),
    ("Fatima", "fatima"),
    ("Giulia", "giulia"),
    ("Håkon", "hakon"),
    ("Ingrid", "ingrid"),
    ("José", "jose"),
    ("Katarzyna", "katarzyna"),
    ("Łukasz", "lukasz"),
    ("Małgorzata", "malgorzata"),
    ("Nguyệt", "nguyet"),
    ("Özlem", "ozlem"),
    ("Priyanka", "priyanka"),
    ("Quentin", "quentin"),
    ("Rosalind", "rosalind"),
    ("Søren", "soren"),
    ("Tomás", "tomas"),
    ("Ursula", "ursula"),
    ("Vasilisa", "vasilisa"),
    ("Winifred", "winifred"),
    ("Xiomara", "xiomara"),
    ("Yusuf", "yusuf"),
    ("Željka", "zeljka"),
    ("Ольга", "olga"),
    ("Δημήτρης", "dimitris"),
    ("美咲", "misaki"),
    ("志明", "zhiming"),
    ("민준", "minjun"),
    ("محمد", "mohamed"),
    ("שירה", "shira"),
    ("अर्जुन", "arjun"),
    ("สมชาย", "somchai"),
];

/// Family names as written, and in ASCII.
pub(super) const FAMILY_NAMES: [(&str, &str); 32] = [
    ("Singh", "singh"),
    ("Müller", "mueller"),
    ("García", "garcia"),
    ("Okonkwo", "okonkwo"),
    ("Johansson", "johansson"),
    ("Dubois", "dubois"),
    ("Kowalska", "kowalska"),
    ("Nakamura", "nakamura"),
    ("Ferreira", "ferreira"),
    ("Bianchi", "bianchi"),
    ("Novák", "novak"),
    ("Yılmaz", "yilmaz"),
    ("Petrov", "petrov"),
    ("Hughes", "hughes"),
    ("MacLeod", "macleod"),
    ("van der Berg", "vanderberg"),
    ("D’Angelo", "dangelo"),
    ("Østergaard", "ostergaard"),
    ("Szczepański", "szczepanski"),
    ("Fitzgerald", "fitzgerald"),
    ("Haugen", "haugen"),
    ("Iñíguez", "iniguez"),
    ("Jónsdóttir", "jonsdottir"),
    ("Kękuś", "kekus"),
    ("Lindqvist", "lindqvist"),
    ("Трофимова", "trofimova"),
    ("Παπαδόπουλος", "papadopoulos"),
    ("佐藤", "sato"),
    ("陳", "chen"),
    ("김", "gim"),
    ("حسن", "hassan"),
    ("शर्मा", "sharma"),
];

pub(super) const DOMAINS: [&str; 6] =
    ["example.com", "example.org", "example.net", "mail.example", "corp.example", "post.example"];
pub(super) const CONNECTIONS: [&str; 3] = ["Username-Password-Authentication", "google-workspace", "corporate"];
pub(super) const GROUPS: [&str; 14] = [
    "Engineering",
    "Beta Testers",
    "Support",
    "Finance",
    "Legal",
    "Operations",
    "Research",
    "Marketing",
    "Design",
    "Field Staff",
    "Contractors",
    "Night Shift",
    "Board",
    "Überprüfung",
];
pub(super) const COUNTRIES: [&str; 10] = ["DE", "FR", "US", "IN", "JP", "BR", "NG", "PL", "SE", "TR"];
pub(super) const DEPARTMENTS: [&str; 6] = ["sales", "engineering", "support", "finance", "legal", "people"];
pub(super) const TAGS: [&str; 8] = ["vip", "trial", "beta", "churn-risk", "annual", "monthly", "partner", "internal"];
pub(super) const LOCALES: [&str; 8] = ["en-US", "de-DE", "fr-FR", "pl-PL", "ja-JP", "pt-BR", "sv-SE", "hi-IN"];
