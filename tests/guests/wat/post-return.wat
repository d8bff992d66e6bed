;; `run` returns 7, and its post-return function, which the host calls when it has the result, traps.
;; `fine` is the same with a post-return function that returns.
(component
  (core module $m
    (func (export "run") (result i32) (i32.const 7))
    (func (export "trap") (param i32) unreachable)
    (func (export "done") (param i32)))
  (core instance $i (instantiate $m))
  (func $run (result u32) (canon lift (core func $i "run") (post-return (core func $i "trap"))))
  (func $fine (result u32) (canon lift (core func $i "run") (post-return (core func $i "done"))))
  (instance $ops (export "run" (func $run)) (export "fine" (func $fine)))
  (export "test:post-return/ops@0.1.0" (instance $ops)))
