;; `deep` calls itself as often as it is told to. It uses no linear memory, so only the call stack can end it.
(component
  (core module $m
    (func $deep (export "deep") (param i32) (result i32)
      (if (result i32) (i32.eqz (local.get 0))
        (then (i32.const 0))
        (else (i32.add (i32.const 1) (call $deep (i32.sub (local.get 0) (i32.const 1))))))))
  (core instance $i (instantiate $m))
  (func $deep (param "depth" u32) (result u32) (canon lift (core func $i "deep")))
  (instance $ops (export "deep" (func $deep)))
  (export "test:stack/ops@0.1.0" (instance $ops)))
