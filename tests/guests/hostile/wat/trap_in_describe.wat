;; Traps when it is asked what it is: the host refuses the plugin.
(func $describe (export "exeat:plugin/transform@0.1.0#describe") (result i32)
  unreachable)
