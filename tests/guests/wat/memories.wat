;; Four memories in four instances: a limit on each memory alone would let it have four times as much.
;; `grow` asks each for `pages` more and returns how many pages all have together, or traps if one got none.
(component
  (core module $m
    (memory 1)
    (func (export "grow") (param i32) (result i32)
      (if (i32.eq (memory.grow (local.get 0)) (i32.const -1)) (then unreachable))
      memory.size))
  (core instance $a (instantiate $m))
  (core instance $b (instantiate $m))
  (core instance $c (instantiate $m))
  (core instance $d (instantiate $m))
  (core module $all
    (import "a" "grow" (func $a (param i32) (result i32)))
    (import "b" "grow" (func $b (param i32) (result i32)))
    (import "c" "grow" (func $c (param i32) (result i32)))
    (import "d" "grow" (func $d (param i32) (result i32)))
    (func (export "grow") (param i32) (result i32)
      (i32.add
        (i32.add (call $a (local.get 0)) (call $b (local.get 0)))
        (i32.add (call $c (local.get 0)) (call $d (local.get 0))))))
  (core instance $i (instantiate $all
    (with "a" (instance $a)) (with "b" (instance $b)) (with "c" (instance $c)) (with "d" (instance $d))))
  (func $grow (param "pages" u32) (result u32) (canon lift (core func $i "grow")))
  (instance $ops (export "grow" (func $grow)))
  (export "test:memories/ops@0.1.0" (instance $ops)))
