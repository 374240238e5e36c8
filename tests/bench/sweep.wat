;; The lower bound of the time of a plain scan: reads `bytes` bytes from `at` on, 64 at a time.
(module
  (memory (export "memory") 1 65536)
  (func (export "sweep") (param $at i32) (param $bytes i32) (result i32)
    (local $end i32) (local $a v128) (local $b v128) (local $c v128) (local $d v128)
    (local.set $end (i32.add (local.get $at) (local.get $bytes)))
    (loop $next
      (local.set $a (i8x16.add (local.get $a) (v128.load (local.get $at))))
      (local.set $b (i8x16.add (local.get $b) (v128.load offset=16 (local.get $at))))
      (local.set $c (i8x16.add (local.get $c) (v128.load offset=32 (local.get $at))))
      (local.set $d (i8x16.add (local.get $d) (v128.load offset=48 (local.get $at))))
      (br_if $next (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 64))) (local.get $end))))
    (i32x4.extract_lane 0 (i8x16.add (i8x16.add (local.get $a) (local.get $b)) (i8x16.add (local.get $c) (local.get $d))))))
