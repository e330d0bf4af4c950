;; Plans to read nothing and to pass the first column on, as `user_id`.
(func $open (export "exeat:plugin/transform@0.1.0#open")
  (param $id i32) (param $id_length i32) (param $snapshot_at i64) (param $seed i64) (param $key i32) (param $key_length i32)
  (param $input i32) (param $inputs i32) (param $config i32) (param $config_length i32)
  (result i32)
  (global.set $heap (i32.const 4096))
  (i32.const 128))

;; ok({reads: [], output: [at 160], stateless: true})
(data $plan (i32.const 128) "\00\00\00\00" "\00\00\00\00\00\00\00\00" "\a0\00\00\00\01\00\00\00" "\01\00\00\00")
;; pass({input: 0, name: at 192})
(data $passed (i32.const 160) "\00\00\00\00\00\00\00\00" "\00\00\00\00" "\c0\00\00\00\07\00\00\00")
(data $passed_name (i32.const 192) "user_id")
