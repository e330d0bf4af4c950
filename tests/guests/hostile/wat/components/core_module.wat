;; Is a core module that nobody made a component of.
(module
  (memory (export "memory") 1)
  (func (export "describe") (result i32)
    (i32.const 0)))
