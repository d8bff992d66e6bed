;; Two tables. `grow` asks each for `elements` more and returns how many both have, or traps if one got none.
(component
  (core module $m
    (table $a 1 funcref)
    (table $b 1 funcref)
    (func (export "grow") (param i32) (result i32)
      (if (i32.eq (table.grow $a (ref.null func) (local.get 0)) (i32.const -1)) (then unreachable))
      (if (i32.eq (table.grow $b (ref.null func) (local.get 0)) (i32.const -1)) (then unreachable))
      (i32.add (table.size $a) (table.size $b))))
  (core instance $i (instantiate $m))
  (func $grow (param "elements" u32) (result u32) (canon lift (core func $i "grow")))
  (instance $ops (export "grow" (func $grow)))
  (export "test:tables/ops@0.1.0" (instance $ops)))
