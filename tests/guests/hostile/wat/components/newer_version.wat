;; Was built for a contract that this host does not know yet: the host says which ones it knows.
(component
  (core module $module
    (func (export "describe")))
  (core instance $core (instantiate $module))
  (func $describe (canon lift (core func $core "describe")))
  (instance $transform (export "describe" (func $describe)))
  (export "exeat:plugin/transform@0.4.0" (instance $transform)))
