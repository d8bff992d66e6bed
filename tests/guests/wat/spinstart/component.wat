;; Its start function never returns: whoever instantiates it to look at it hangs.
(component
  (core module $m
    (func $spin (loop $again (br $again)))
    (func (export "run") (result i32) (i32.const 7))
    (start $spin))
  (core instance $i (instantiate $m))
  (func $run (result u32) (canon lift (core func $i "run")))
  (instance $ops (export "run" (func $run)))
  (export "test:spinstart/ops@0.1.0" (instance $ops)))
