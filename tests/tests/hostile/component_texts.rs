//! Components in WebAssembly text that are no plugins.

use exeat_sandbox::RefusalCode;
use exeat_tests::hostile;
use exeat_tests::stage::calm;

use crate::{assert_refused, refusal, stage};

/// Each text: the code of the refusal, and words of the message.
macro_rules! refused {
    ($($name:ident: $code:ident, $words:literal;)+) => {
        $(
            #[test]
            fn $name() {
                let stage = stage();
                let name = stringify!($name);
                let refusal = refusal(stage.admit(&hostile::component_text(name), calm()));
                assert_refused(name, &refusal, RefusalCode::$code, $words);
                stage.still_works();
            }
        )+
    };
}

refused! {
    core_module: CoreModule, "this is a core module, not a component";
    exports_nothing: NoWorld, "exports neither exeat:plugin/transform nor exeat:plugin/adapter";
    newer_version: WrongVersion, "built for exeat:plugin 0.4; this host runs 0.1";
}
