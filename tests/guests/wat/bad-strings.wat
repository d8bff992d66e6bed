;; Returns a text that lies outside its memory, and one that is not UTF-8: the host must refuse both.
(component
  (core module $m
    (memory (export "memory") 1)
    (data (i32.const 16) "\ff\fe\fd\fc")
    (data (i32.const 0) "\f0\ff\ff\7f\00\10\00\00")
    (data (i32.const 8) "\10\00\00\00\04\00\00\00")
    (data (i32.const 32) "\28\00\00\00\04\00\00\00fine")
    (func (export "outside") (result i32) (i32.const 0))
    (func (export "broken") (result i32) (i32.const 8))
    (func (export "fine") (result i32) (i32.const 32)))
  (core instance $i (instantiate $m))
  (alias core export $i "memory" (core memory $memory))
  (func $outside (result string) (canon lift (core func $i "outside") (memory $memory)))
  (func $broken (result string) (canon lift (core func $i "broken") (memory $memory)))
  (func $fine (result string) (canon lift (core func $i "fine") (memory $memory)))
  (instance $ops (export "outside" (func $outside)) (export "broken" (func $broken)) (export "fine" (func $fine)))
  (export "test:bad-strings/ops@0.1.0" (instance $ops)))
