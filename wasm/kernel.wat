(module
 (type $0 (func (param i32 i32)))
 (type $1 (func (param i32)))
 (type $2 (func (param i32) (result i32)))
 (type $3 (func))
 (type $4 (func (param i32 i32 i32)))
 (type $5 (func (param i32 i32) (result i32)))
 (type $6 (func (result i32)))
 (type $7 (func (param i32 i32 f64) (result i32)))
 (type $8 (func (param i32 i32 i32) (result i32)))
 (type $9 (func (param i64 i32 i32 f64)))
 (type $10 (func (param i32) (result f64)))
 (type $11 (func (param i32 i32 i32 f64 f64) (result i32)))
 (global $columns/top (mut i32) (i32.const 0))
 (global $columns/words (mut i32) (i32.const 0))
 (global $columns/rows (mut i32) (i32.const 0))
 (global $prefix/bucketBytes (mut i32) (i32.const 0))
 (global $prefix/bucketsAt (mut i32) (i32.const 0))
 (global $columns/matched (mut i32) (i32.const 0))
 (global $columns/askNumbers (mut i32) (i32.const 0))
 (global $columns/weights (mut i32) (i32.const 0))
 (global $recency/rowsAt (mut i32) (i32.const 0))
 (global $digest/slotsAt (mut i32) (i32.const 0))
 (global $columns/askWords (mut i32) (i32.const 0))
 (global $digest/slots (mut i32) (i32.const 0))
 (global $recency/usesAt (mut i32) (i32.const 0))
 (global $columns/resultNumbers (mut i32) (i32.const 0))
 (global $filter/count (mut i32) (i32.const 0))
 (global $prefix/buckets (mut i64) (i64.const 0))
 (global $columns/active (mut i32) (i32.const 0))
 (global $digest/masksAt (mut i32) (i32.const 0))
 (global $columns/resultWords (mut i32) (i32.const 0))
 (global $columns/candidates (mut i32) (i32.const 0))
 (global $columns/chain (mut i32) (i32.const 0))
 (global $columns/textWindow (mut i32) (i32.const 0))
 (global $score/prefill (mut f64) (f64.const 0))
 (global $score/uncached (mut f64) (f64.const 0))
 (global $score/hitTokens (mut f64) (f64.const 0))
 (global $columns/prices (mut i32) (i32.const 0))
 (global $score/ttft (mut f64) (f64.const 0))
 (global $score/matchedTokens (mut f64) (f64.const 0))
 (global $columns/fed (mut i32) (i32.const 0))
 (global $columns/ttfts (mut i32) (i32.const 0))
 (global $columns/socials (mut i32) (i32.const 0))
 (global $score/wait (mut f64) (f64.const 0))
 (global $feed/segmentsAt (mut i32) (i32.const 0))
 (global $digest/pairs (mut i32) (i32.const 0))
 (global $columns/queuedTokens (mut i32) (i32.const 0))
 (global $columns/prefillRate (mut i32) (i32.const 0))
 (global $columns/priceIn (mut i32) (i32.const 0))
 (global $score/social (mut f64) (f64.const 0))
 (global $score/price (mut f64) (f64.const 0))
 (global $feed/rowsAt (mut i32) (i32.const 0))
 (global $feed/freeList (mut i32) (i32.const 0))
 (global $recency/freeList (mut i32) (i32.const 0))
 (global $prefix/entries (mut i32) (i32.const 0))
 (global $prefix/heldPairs (mut i32) (i32.const 0))
 (global $columns/sentTokens (mut i32) (i32.const 0))
 (global $columns/priceOut (mut i32) (i32.const 0))
 (global $columns/told (mut i32) (i32.const 0))
 (global $columns/codes (mut i32) (i32.const 0))
 (global $digest/rowsAt (mut i32) (i32.const 0))
 (global $digest/freeMasks (mut i32) (i32.const 0))
 (global $digest/entries (mut i32) (i32.const 0))
 (global $hash/count (mut i32) (i32.const 0))
 (global $columns/capabilities (mut i32) (i32.const 0))
 (global $columns/ownTokens (mut i32) (i32.const 0))
 (global $columns/busySinceMs (mut i32) (i32.const 0))
 (global $columns/busyTokens (mut i32) (i32.const 0))
 (global $columns/waitingTokens (mut i32) (i32.const 0))
 (global $columns/sampleAtMs (mut i32) (i32.const 0))
 (global $columns/kvUsage (mut i32) (i32.const 0))
 (global $columns/rttMs (mut i32) (i32.const 0))
 (global $columns/jitterMs (mut i32) (i32.const 0))
 (global $columns/priceCached (mut i32) (i32.const 0))
 (global $columns/trust (mut i32) (i32.const 0))
 (global $columns/digestDiscount (mut i32) (i32.const 0))
 (global $pick/ttftLimit (mut f64) (f64.const 0))
 (global $pick/pooled (mut i32) (i32.const 0))
 (global $columns/chunkBytes (mut i32) (i32.const 0))
 (global $columns/inUse (mut i32) (i32.const 0))
 (global $columns/tier (mut i32) (i32.const 0))
 (global $columns/tenants (mut i32) (i32.const 0))
 (global $columns/models (mut i32) (i32.const 0))
 (global $columns/lost (mut i32) (i32.const 0))
 (global $pick/affordable (mut i32) (i32.const 0))
 (global $feed/usedOnce (mut i32) (i32.const 0))
 (global $digest/entriesMax (mut i32) (i32.const 0))
 (global $recency/usedOnce (mut i32) (i32.const 0))
 (global $hash/parent (mut i64) (i64.const 1))
 (global $columns/chunkLimit (mut i32) (i32.const 0))
 (global $columns/regionSet (mut i32) (i32.const 0))
 (global $columns/triedRows (mut i32) (i32.const 0))
 (global $columns/admission (mut i32) (i32.const 0))
 (global $columns/down (mut i32) (i32.const 0))
 (global $columns/contextTokens (mut i32) (i32.const 0))
 (global $columns/freshUntilMs (mut i32) (i32.const 0))
 (global $columns/nobody (mut i32) (i32.const 0))
 (global $columns/ties (mut i32) (i32.const 0))
 (global $pick/priceLimit (mut f64) (f64.const 0))
 (global $feed/segments (mut i32) (i32.const 0))
 (global $digest/masksUsedOnce (mut i32) (i32.const 0))
 (global $digest/refused (mut f64) (f64.const 0))
 (global $prefix/evicted (mut f64) (f64.const 0))
 (global $learn/clock (mut f64) (f64.const 0))
 (global $columns/region (mut i32) (i32.const 0))
 (global $columns/inFlight (mut i32) (i32.const 0))
 (global $columns/inFlightCap (mut i32) (i32.const 0))
 (global $digest/masks (mut i32) (i32.const 0))
 (global $digest/bytesUsed (mut i64) (i64.const 0))
 (global $digest/rowMax (mut i32) (i32.const 0))
 (global $recency/most (mut i32) (i32.const 0))
 (memory $0 0)
 (export "abi" (func $index/abi))
 (export "windowBytes" (func $index/windowBytes))
 (export "init" (func $index/init))
 (export "decide" (func $index/decide))
 (export "explain" (func $index/explain))
 (export "matchedChunks" (func $index/matchedChunks))
 (export "stat" (func $index/stat))
 (export "blockAt" (func $columns/blockAt))
 (export "columnAt" (func $columns/columnAt))
 (export "absorb" (func $hash/absorb))
 (export "begin" (func $hash/begin))
 (export "chunkCount" (func $hash/chunkCount))
 (export "hashKey" (func $hash/hashKey))
 (export "setModelRow" (func $filter/setModelRow))
 (export "clearRow" (func $learn/clearRow))
 (export "forget" (func $learn/forget))
 (export "learn" (func $learn/learn))
 (export "setRowChunks" (func $learn/setRowChunks))
 (export "addDigest" (func $digest/addDigest))
 (export "clearDigest" (func $digest/clearDigest))
 (export "dropDigest" (func $digest/dropDigest))
 (export "startFeed" (func $feed/startFeed))
 (export "takeFeed" (func $feed/takeFeed))
 (export "listHashes" (func $prefix/listHashes))
 (export "memory" (memory $0))
 (func $recency/removeUse (param $0 i32) (param $1 i32)
  (local $2 i32)
  (local $3 i32)
  (local $4 i32)
  (local $5 i32)
  local.get $0
  i32.load
  local.set $2
  loop $while-continue|0
   local.get $2
   if (result i32)
    global.get $recency/usesAt
    local.get $2
    i32.const 1
    i32.sub
    i32.const 20
    i32.mul
    i32.add
    i32.load offset=12
    local.get $1
    i32.ne
   else
    i32.const 0
   end
   if
    global.get $recency/usesAt
    local.get $2
    i32.const 20
    i32.mul
    i32.add
    i32.const 12
    i32.sub
    local.tee $0
    i32.load
    local.set $2
    br $while-continue|0
   end
  end
  local.get $2
  i32.eqz
  if
   return
  end
  local.get $0
  global.get $recency/usesAt
  local.get $2
  i32.const 1
  i32.sub
  i32.const 20
  i32.mul
  i32.add
  local.tee $0
  i32.load offset=8
  i32.store
  global.get $recency/rowsAt
  local.get $1
  i32.const 5
  i32.shl
  i32.add
  local.set $4
  local.get $0
  i32.load offset=4
  local.set $5
  local.get $0
  i32.load
  local.tee $3
  if
   global.get $recency/usesAt
   local.get $3
   i32.const 1
   i32.sub
   i32.const 20
   i32.mul
   i32.add
   local.get $5
   i32.store offset=4
  else
   local.get $4
   local.get $5
   i32.store offset=12
  end
  local.get $5
  if
   global.get $recency/usesAt
   local.get $5
   i32.const 1
   i32.sub
   i32.const 20
   i32.mul
   i32.add
   local.get $3
   i32.store
  else
   local.get $4
   local.get $3
   i32.store offset=16
  end
  local.get $0
  global.get $recency/freeList
  i32.store offset=8
  local.get $2
  global.set $recency/freeList
  global.get $recency/rowsAt
  local.get $1
  i32.const 5
  i32.shl
  i32.add
  local.tee $0
  local.get $0
  i32.load offset=8
  i32.const 1
  i32.sub
  i32.store offset=8
 )
 (func $prefix/release (param $0 i32) (param $1 i32)
  (local $2 i64)
  (local $3 i32)
  (local $4 i32)
  global.get $columns/fed
  local.get $1
  i32.const 6
  i32.shr_u
  i32.const 3
  i32.shl
  i32.add
  i64.load
  local.get $1
  i32.const 63
  i32.and
  i64.extend_i32_u
  i64.shr_u
  i64.const 1
  i64.and
  i32.wrap_i64
  if
   local.get $0
   local.get $1
   i32.const 0
   call $prefix/noteChange
  end
  global.get $recency/rowsAt
  local.get $1
  i32.const 5
  i32.shl
  i32.add
  i32.load offset=4
  if
   global.get $prefix/bucketsAt
   global.get $prefix/bucketBytes
   local.get $0
   i32.const 3
   i32.shr_u
   i32.mul
   i32.add
   i32.const 128
   i32.add
   local.get $0
   i32.const 7
   i32.and
   i32.const 2
   i32.shl
   i32.add
   local.get $1
   call $recency/removeUse
  end
  global.get $prefix/bucketsAt
  global.get $prefix/bucketBytes
  local.get $0
  i32.const 3
  i32.shr_u
  i32.mul
  i32.add
  i32.const 192
  i32.add
  global.get $columns/words
  local.get $0
  i32.const 7
  i32.and
  i32.mul
  i32.const 3
  i32.shl
  i32.add
  local.tee $3
  local.get $1
  i32.const 6
  i32.shr_u
  i32.const 3
  i32.shl
  i32.add
  local.tee $4
  local.get $4
  i64.load
  i64.const -2
  local.get $1
  i32.const 63
  i32.and
  i64.extend_i32_u
  i64.rotl
  i64.and
  i64.store
  global.get $recency/rowsAt
  local.get $1
  i32.const 5
  i32.shl
  i32.add
  local.tee $1
  local.get $1
  i32.load
  i32.const 1
  i32.sub
  i32.store
  global.get $prefix/heldPairs
  i32.const 1
  i32.sub
  global.set $prefix/heldPairs
  i32.const 0
  local.set $1
  loop $for-loop|0
   local.get $1
   global.get $columns/words
   i32.lt_u
   if
    local.get $2
    local.get $3
    local.get $1
    i32.const 3
    i32.shl
    i32.add
    i64.load
    i64.or
    local.set $2
    local.get $1
    i32.const 1
    i32.add
    local.set $1
    br $for-loop|0
   end
  end
  local.get $2
  i64.eqz
  if
   global.get $prefix/bucketsAt
   global.get $prefix/bucketBytes
   local.get $0
   i32.const 3
   i32.shr_u
   i32.mul
   i32.add
   local.get $0
   i32.const 7
   i32.and
   i32.const 3
   i32.shl
   i32.add
   i64.const 0
   i64.store
   global.get $prefix/entries
   i32.const 1
   i32.sub
   global.set $prefix/entries
  end
 )
 (func $prefix/noteChange (param $0 i32) (param $1 i32) (param $2 i32)
  (local $3 i32)
  (local $4 i32)
  (local $5 i32)
  (local $6 i32)
  global.get $prefix/bucketsAt
  global.get $prefix/bucketBytes
  local.get $0
  i32.const 3
  i32.shr_u
  i32.mul
  i32.add
  local.get $0
  i32.const 7
  i32.and
  i32.const 3
  i32.shl
  i32.add
  i32.load
  i32.const 16777215
  i32.and
  local.set $5
  local.get $0
  i32.const -8
  i32.and
  local.tee $6
  local.set $3
  block $__inlined_func$prefix/isAlone$158
   loop $for-loop|0
    local.get $3
    local.get $6
    i32.const 8
    i32.add
    i32.lt_u
    if
     local.get $0
     local.get $3
     i32.ne
     if (result i32)
      local.get $5
      global.get $prefix/bucketsAt
      global.get $prefix/bucketBytes
      local.get $3
      i32.const 3
      i32.shr_u
      i32.mul
      i32.add
      local.get $3
      i32.const 7
      i32.and
      i32.const 3
      i32.shl
      i32.add
      i32.load
      i32.const 16777215
      i32.and
      i32.eq
     else
      i32.const 0
     end
     if (result i32)
      global.get $prefix/bucketsAt
      global.get $prefix/bucketBytes
      local.get $3
      i32.const 3
      i32.shr_u
      i32.mul
      i32.add
      i32.const 192
      i32.add
      global.get $columns/words
      local.get $3
      i32.const 7
      i32.and
      i32.mul
      i32.const 3
      i32.shl
      i32.add
      local.get $1
      i32.const 6
      i32.shr_u
      i32.const 3
      i32.shl
      i32.add
      i64.load
      local.get $1
      i32.const 63
      i32.and
      i64.extend_i32_u
      i64.shr_u
      i64.const 1
      i64.and
      i32.wrap_i64
     else
      i32.const 0
     end
     br_if $__inlined_func$prefix/isAlone$158
     local.get $3
     i32.const 1
     i32.add
     local.set $3
     br $for-loop|0
    end
   end
   i32.const 1
   local.set $4
  end
  local.get $4
  if
   block $__inlined_func$feed/note$63
    global.get $prefix/bucketsAt
    global.get $prefix/bucketBytes
    local.get $0
    i32.const 3
    i32.shr_u
    i32.mul
    i32.add
    local.get $0
    i32.const 7
    i32.and
    i32.const 3
    i32.shl
    i32.add
    i32.load
    i32.const 16777215
    i32.and
    i32.const 1
    i32.shl
    local.get $2
    i32.const 0
    i32.ne
    i32.or
    local.set $3
    global.get $feed/rowsAt
    local.get $1
    i32.const 5
    i32.shl
    i32.add
    local.tee $4
    i32.load offset=8
    if (result i32)
     local.get $4
     i32.load offset=12
     i32.const 64
     i32.eq
    else
     i32.const 1
    end
    if
     block $__inlined_func$feed/addSegment$142 (result i32)
      global.get $feed/freeList
      i32.eqz
      global.get $feed/usedOnce
      global.get $feed/segments
      i32.eq
      i32.and
      if
       i32.const 0
       local.set $0
       i32.const 1
       local.set $2
       loop $for-loop|02
        local.get $2
        global.get $columns/rows
        i32.lt_u
        if
         local.get $2
         local.get $0
         global.get $feed/rowsAt
         local.get $2
         i32.const 5
         i32.shl
         i32.add
         i32.load offset=16
         global.get $feed/rowsAt
         local.get $0
         i32.const 5
         i32.shl
         i32.add
         i32.load offset=16
         i32.gt_u
         select
         local.set $0
         local.get $2
         i32.const 1
         i32.add
         local.set $2
         br $for-loop|02
        end
       end
       local.get $0
       call $feed/stopFeed
       i32.const 0
       local.get $0
       local.get $1
       i32.eq
       br_if $__inlined_func$feed/addSegment$142
       drop
      end
      global.get $feed/freeList
      local.tee $2
      if
       global.get $feed/segmentsAt
       local.get $2
       i32.const 1
       i32.sub
       i32.const 8
       i32.shl
       i32.add
       i32.load
       global.set $feed/freeList
      else
       global.get $feed/usedOnce
       i32.const 1
       i32.add
       global.set $feed/usedOnce
       global.get $feed/usedOnce
       local.set $2
      end
      global.get $feed/segmentsAt
      local.get $2
      i32.const 1
      i32.sub
      i32.const 8
      i32.shl
      i32.add
      i32.const 0
      i32.store
      global.get $feed/rowsAt
      local.get $1
      i32.const 5
      i32.shl
      i32.add
      local.tee $0
      i32.load offset=8
      local.tee $1
      if
       global.get $feed/segmentsAt
       local.get $1
       i32.const 1
       i32.sub
       i32.const 8
       i32.shl
       i32.add
       local.get $2
       i32.store
      else
       local.get $0
       local.get $2
       i32.store offset=4
      end
      local.get $0
      local.get $2
      i32.store offset=8
      local.get $0
      i32.const 1
      i32.store offset=12
      local.get $0
      local.get $0
      i32.load offset=16
      i32.const 1
      i32.add
      i32.store offset=16
      i32.const 1
     end
     i32.eqz
     br_if $__inlined_func$feed/note$63
    end
    global.get $feed/segmentsAt
    local.get $4
    i32.load offset=8
    i32.const 1
    i32.sub
    i32.const 8
    i32.shl
    i32.add
    local.get $4
    i32.load offset=12
    local.tee $0
    i32.const 2
    i32.shl
    i32.add
    local.get $3
    i32.store
    local.get $4
    local.get $0
    i32.const 1
    i32.add
    i32.store offset=12
   end
  end
 )
 (func $mirror/dropOldest (param $0 i32) (result i32)
  (local $1 i32)
  global.get $recency/rowsAt
  local.get $0
  i32.const 5
  i32.shl
  i32.add
  i32.load offset=12
  local.tee $1
  if (result i32)
   global.get $recency/usesAt
   local.get $1
   i32.const 1
   i32.sub
   i32.const 20
   i32.mul
   i32.add
   i32.load offset=16
  else
   i32.const -1
  end
  local.tee $1
  i32.const 0
  i32.lt_s
  if
   i32.const 0
   return
  end
  local.get $1
  local.get $0
  call $prefix/release
  i32.const 1
 )
 (func $mirror/shrink (param $0 i32) (param $1 i32)
  loop $while-continue|0
   global.get $recency/rowsAt
   local.get $0
   i32.const 5
   i32.shl
   i32.add
   i32.load
   local.get $1
   i32.gt_u
   if
    local.get $0
    call $mirror/dropOldest
    i32.eqz
    if
     return
    end
    br $while-continue|0
   end
  end
 )
 (func $mirror/reserve
  (local $0 i32)
  (local $1 i32)
  i32.const 1
  global.get $recency/usedOnce
  global.get $recency/most
  i32.lt_u
  global.get $recency/freeList
  select
  if
   return
  end
  i32.const 1
  local.set $0
  loop $for-loop|0
   local.get $0
   global.get $columns/rows
   i32.lt_u
   if
    local.get $0
    local.get $1
    global.get $recency/rowsAt
    local.get $0
    i32.const 5
    i32.shl
    i32.add
    i32.load offset=8
    global.get $recency/rowsAt
    local.get $1
    i32.const 5
    i32.shl
    i32.add
    i32.load offset=8
    i32.gt_u
    select
    local.set $1
    local.get $0
    i32.const 1
    i32.add
    local.set $0
    br $for-loop|0
   end
  end
  i32.const 64
  local.set $0
  loop $for-loop|00
   local.get $0
   i32.const 0
   i32.gt_s
   if
    local.get $1
    call $mirror/dropOldest
    i32.eqz
    if
     return
    end
    local.get $0
    i32.const 1
    i32.sub
    local.set $0
    br $for-loop|00
   end
  end
 )
 (func $mirror/enqueue (param $0 i32) (param $1 i32)
  (local $2 i32)
  (local $3 i32)
  (local $4 i32)
  global.get $recency/usesAt
  global.get $recency/freeList
  if (result i32)
   global.get $recency/freeList
  else
   global.get $recency/usedOnce
   i32.const 1
   i32.add
   global.set $recency/usedOnce
   global.get $recency/usedOnce
  end
  local.tee $2
  i32.const 1
  i32.sub
  i32.const 20
  i32.mul
  i32.add
  local.set $3
  local.get $2
  global.get $recency/freeList
  i32.eq
  if
   local.get $3
   i32.load offset=8
   global.set $recency/freeList
  end
  local.get $3
  global.get $prefix/bucketsAt
  global.get $prefix/bucketBytes
  local.get $1
  i32.const 3
  i32.shr_u
  i32.mul
  i32.add
  i32.const 128
  i32.add
  local.get $1
  i32.const 7
  i32.and
  i32.const 2
  i32.shl
  i32.add
  local.tee $4
  i32.load
  i32.store offset=8
  local.get $3
  local.get $0
  i32.store offset=12
  local.get $3
  local.get $1
  i32.store offset=16
  local.get $4
  local.get $2
  i32.store
  global.get $recency/usesAt
  local.get $2
  i32.const 1
  i32.sub
  i32.const 20
  i32.mul
  i32.add
  local.tee $1
  global.get $recency/rowsAt
  local.get $0
  i32.const 5
  i32.shl
  i32.add
  local.tee $3
  i32.load offset=16
  local.tee $4
  i32.store
  local.get $1
  i32.const 0
  i32.store offset=4
  local.get $4
  if
   global.get $recency/usesAt
   local.get $4
   i32.const 1
   i32.sub
   i32.const 20
   i32.mul
   i32.add
   local.get $2
   i32.store offset=4
  else
   local.get $3
   local.get $2
   i32.store offset=12
  end
  local.get $3
  local.get $2
  i32.store offset=16
  global.get $recency/rowsAt
  local.get $0
  i32.const 5
  i32.shl
  i32.add
  local.tee $0
  local.get $0
  i32.load offset=8
  i32.const 1
  i32.add
  i32.store offset=8
 )
 (func $feed/stopFeed (param $0 i32)
  (local $1 i32)
  (local $2 i32)
  (local $3 i32)
  global.get $columns/fed
  local.get $0
  i32.const 6
  i32.shr_u
  i32.const 3
  i32.shl
  i32.add
  i64.load
  local.get $0
  i32.const 63
  i32.and
  i64.extend_i32_u
  i64.shr_u
  i64.const 1
  i64.and
  i64.eqz
  if
   return
  end
  global.get $columns/fed
  local.get $0
  i32.const 6
  i32.shr_u
  i32.const 3
  i32.shl
  i32.add
  local.tee $1
  local.get $1
  i64.load
  i64.const -2
  local.get $0
  i32.const 63
  i32.and
  i64.extend_i32_u
  i64.rotl
  i64.and
  i64.store
  global.get $feed/rowsAt
  local.get $0
  i32.const 5
  i32.shl
  i32.add
  local.set $0
  loop $while-continue|0
   local.get $0
   i32.load offset=4
   local.tee $1
   if
    global.get $feed/segmentsAt
    local.get $1
    i32.const 1
    i32.sub
    i32.const 8
    i32.shl
    i32.add
    local.tee $2
    i32.load
    local.set $3
    local.get $2
    global.get $feed/freeList
    i32.store
    local.get $1
    global.set $feed/freeList
    local.get $0
    local.get $3
    i32.store offset=4
    local.get $3
    i32.eqz
    if
     local.get $0
     i32.const 0
     i32.store offset=8
    end
    local.get $0
    local.get $0
    i32.load offset=16
    i32.const 1
    i32.sub
    i32.store offset=16
    br $while-continue|0
   end
  end
 )
 (func $digest/dropHolder (param $0 i32) (param $1 i32)
  (local $2 i32)
  (local $3 i32)
  (local $4 i64)
  (local $5 i32)
  (local $6 i32)
  (local $7 i32)
  (local $8 i32)
  global.get $digest/slotsAt
  local.get $0
  i32.const 3
  i32.shl
  i32.add
  local.tee $5
  i32.load offset=4
  local.set $6
  global.get $digest/rowsAt
  local.get $1
  i32.const 5
  i32.shl
  i32.add
  local.tee $7
  i32.load
  i32.const 1
  i32.sub
  local.set $8
  local.get $7
  local.get $8
  i32.store
  local.get $8
  i32.eqz
  if
   global.get $columns/told
   local.get $1
   i32.const 6
   i32.shr_u
   i32.const 3
   i32.shl
   i32.add
   local.tee $7
   local.get $7
   i64.load
   i64.const -2
   local.get $1
   i32.const 63
   i32.and
   i64.extend_i32_u
   i64.rotl
   i64.and
   i64.store
  end
  global.get $digest/pairs
  i32.const 1
  i32.sub
  global.set $digest/pairs
  local.get $6
  i32.const -2147483648
  i32.ge_u
  if
   global.get $digest/masksAt
   local.get $6
   i32.const 1073741823
   i32.and
   local.tee $0
   global.get $columns/words
   i32.mul
   i32.const 3
   i32.shl
   i32.add
   local.get $1
   i32.const 6
   i32.shr_u
   i32.const 3
   i32.shl
   i32.add
   local.tee $6
   local.get $6
   i64.load
   i64.const -2
   local.get $1
   i32.const 63
   i32.and
   i64.extend_i32_u
   i64.rotl
   i64.and
   i64.store
   local.get $0
   local.set $1
   i32.const 0
   local.set $0
   block $__inlined_func$digest/narrow$57
    loop $for-loop|0
     local.get $2
     i32.const 3
     i32.lt_u
     local.get $0
     global.get $columns/words
     i32.lt_u
     i32.and
     if
      global.get $digest/masksAt
      global.get $columns/words
      local.get $1
      i32.const 1073741823
      i32.and
      i32.mul
      i32.const 3
      i32.shl
      i32.add
      local.get $0
      i32.const 3
      i32.shl
      i32.add
      i64.load
      local.set $4
      loop $for-loop|1
       local.get $4
       i64.const 0
       i64.ne
       if
        local.get $4
        i64.ctz
        i32.wrap_i64
        local.get $0
        i32.const 6
        i32.shl
        i32.add
        local.get $3
        i32.const 12
        i32.shl
        i32.or
        local.set $3
        local.get $2
        i32.const 1
        i32.add
        local.tee $2
        i32.const 3
        i32.eq
        br_if $__inlined_func$digest/narrow$57
        local.get $4
        local.get $4
        i64.const 1
        i64.sub
        i64.and
        local.set $4
        br $for-loop|1
       end
      end
      local.get $0
      i32.const 1
      i32.add
      local.set $0
      br $for-loop|0
     end
    end
    local.get $5
    local.get $3
    i32.const 1073741824
    i32.or
    i32.store offset=4
    global.get $digest/masksAt
    global.get $columns/words
    local.get $1
    i32.const 1073741823
    i32.and
    i32.mul
    i32.const 3
    i32.shl
    i32.add
    global.get $digest/freeMasks
    i32.store
    local.get $1
    i32.const 1
    i32.add
    global.set $digest/freeMasks
   end
  else
   local.get $6
   i32.const 1073741824
   i32.ge_u
   if
    local.get $5
    local.get $6
    i32.const 12
    i32.shr_u
    i32.const 4095
    i32.and
    local.get $6
    i32.const 4095
    i32.and
    local.tee $0
    local.get $0
    local.get $1
    i32.eq
    select
    local.tee $0
    local.get $0
    i32.const 12
    i32.shl
    i32.or
    i32.store offset=4
   else
    local.get $0
    i32.const 1
    i32.add
    local.tee $1
    i32.const 0
    global.get $digest/slots
    local.get $1
    i32.ne
    select
    local.set $1
    loop $for-loop|00
     global.get $digest/slotsAt
     local.get $1
     i32.const 3
     i32.shl
     i32.add
     local.tee $2
     i32.load
     local.tee $3
     if
      local.get $1
      local.get $3
      i32.const 1
      i32.sub
      i64.extend_i32_u
      global.get $digest/slots
      i64.extend_i32_u
      i64.mul
      i64.const 24
      i64.shr_u
      i32.wrap_i64
      local.tee $3
      i32.sub
      local.get $1
      global.get $digest/slots
      i32.add
      local.tee $5
      local.get $3
      i32.sub
      local.get $1
      local.get $3
      i32.ge_u
      select
      local.get $1
      local.get $0
      i32.sub
      local.get $5
      local.get $0
      i32.sub
      local.get $0
      local.get $1
      i32.le_u
      select
      i32.ge_u
      if
       global.get $digest/slotsAt
       local.get $0
       i32.const 3
       i32.shl
       i32.add
       local.get $2
       i64.load
       i64.store
       local.get $1
       local.set $0
      end
      local.get $1
      i32.const 1
      i32.add
      local.tee $1
      i32.const 0
      global.get $digest/slots
      local.get $1
      i32.ne
      select
      local.set $1
      br $for-loop|00
     end
    end
    global.get $digest/slotsAt
    local.get $0
    i32.const 3
    i32.shl
    i32.add
    i64.const 0
    i64.store
    global.get $digest/entries
    i32.const 1
    i32.sub
    global.set $digest/entries
   end
  end
 )
 (func $digest/clearDigest (param $0 i32)
  (local $1 i32)
  (local $2 v128)
  (local $3 i32)
  (local $4 v128)
  (local $5 v128)
  (local $6 v128)
  global.get $digest/slots
  i32.eqz
  if
   return
  end
  loop $for-loop|0
   global.get $digest/rowsAt
   local.get $0
   i32.const 5
   i32.shl
   i32.add
   i32.load
   if
    global.get $digest/slots
    local.get $1
    i32.const 8
    i32.add
    i32.ge_u
    if (result i32)
     global.get $digest/slotsAt
     local.get $1
     i32.const 3
     i32.shl
     i32.add
     local.tee $3
     v128.load
     local.tee $4
     local.get $3
     v128.load offset=16
     local.tee $5
     i8x16.shuffle 4 5 6 7 12 13 14 15 20 21 22 23 28 29 30 31
     local.tee $6
     v128.const i32x4 0x00000fff 0x00000fff 0x00000fff 0x00000fff
     v128.and
     local.get $0
     i32x4.splat
     local.tee $2
     i32x4.eq
     local.get $6
     i32.const 12
     i32x4.shr_u
     v128.const i32x4 0x00000fff 0x00000fff 0x00000fff 0x00000fff
     v128.and
     local.get $2
     i32x4.eq
     v128.or
     local.get $6
     i32.const 31
     i32x4.shr_s
     v128.or
     local.tee $6
     local.get $6
     local.get $4
     local.get $5
     i8x16.shuffle 0 1 2 3 8 9 10 11 16 17 18 19 24 25 26 27
     v128.const i32x4 0x00000000 0x00000000 0x00000000 0x00000000
     i32x4.eq
     v128.andnot
     local.get $0
     select
     local.get $3
     i32.const 32
     i32.add
     v128.load
     local.tee $4
     local.get $3
     v128.load offset=48
     local.tee $5
     i8x16.shuffle 4 5 6 7 12 13 14 15 20 21 22 23 28 29 30 31
     local.tee $6
     v128.const i32x4 0x00000fff 0x00000fff 0x00000fff 0x00000fff
     v128.and
     local.get $2
     i32x4.eq
     local.get $6
     i32.const 12
     i32x4.shr_u
     v128.const i32x4 0x00000fff 0x00000fff 0x00000fff 0x00000fff
     v128.and
     local.get $2
     i32x4.eq
     v128.or
     local.get $6
     i32.const 31
     i32x4.shr_s
     v128.or
     local.tee $2
     local.get $2
     local.get $4
     local.get $5
     i8x16.shuffle 0 1 2 3 8 9 10 11 16 17 18 19 24 25 26 27
     v128.const i32x4 0x00000000 0x00000000 0x00000000 0x00000000
     i32x4.eq
     v128.andnot
     local.get $0
     select
     v128.or
     v128.any_true
    else
     i32.const 1
    end
    i32.eqz
    if
     local.get $1
     i32.const 8
     i32.add
     local.set $1
     br $for-loop|0
    end
    global.get $digest/slotsAt
    local.get $1
    i32.const 3
    i32.shl
    i32.add
    local.tee $3
    i32.load
    if (result i32)
     block $digest/isHolder|inlined.1 (result i32)
      local.get $3
      i32.load offset=4
      local.tee $3
      i32.const -2147483648
      i32.ge_u
      if
       global.get $digest/masksAt
       global.get $columns/words
       local.get $3
       i32.const 1073741823
       i32.and
       i32.mul
       i32.const 3
       i32.shl
       i32.add
       local.get $0
       i32.const 6
       i32.shr_u
       i32.const 3
       i32.shl
       i32.add
       i64.load
       local.get $0
       i32.const 63
       i32.and
       i64.extend_i32_u
       i64.shr_u
       i64.const 1
       i64.and
       i32.wrap_i64
       br $digest/isHolder|inlined.1
      end
      local.get $0
      local.get $3
      i32.const 4095
      i32.and
      i32.eq
      if (result i32)
       i32.const 1
      else
       local.get $0
       local.get $3
       i32.const 12
       i32.shr_u
       i32.const 4095
       i32.and
       i32.eq
      end
     end
    else
     i32.const 0
    end
    if
     local.get $1
     local.get $0
     call $digest/dropHolder
    else
     local.get $1
     i32.const 1
     i32.add
     local.set $1
    end
    br $for-loop|0
   end
  end
 )
 (func $score/scoreAll
  (local $0 i32)
  (local $1 v128)
  (local $2 i32)
  (local $3 i32)
  (local $4 f64)
  (local $5 i32)
  (local $6 i32)
  (local $7 v128)
  (local $8 v128)
  (local $9 i32)
  (local $10 v128)
  (local $11 v128)
  (local $12 v128)
  (local $13 v128)
  (local $14 v128)
  (local $15 v128)
  global.get $columns/askNumbers
  f64.load offset=40
  local.set $4
  global.get $filter/count
  local.set $5
  loop $for-loop|0
   local.get $2
   local.get $5
   i32.lt_u
   if
    global.get $columns/candidates
    local.get $2
    i32.const 2
    i32.shl
    i32.add
    local.tee $6
    i32.load
    local.set $3
    local.get $2
    i32.const 1
    i32.add
    local.get $5
    i32.lt_u
    local.tee $9
    if (result i32)
     local.get $6
     i32.load offset=4
     local.get $3
     i32.const 1
     i32.add
     i32.eq
    else
     local.get $9
    end
    if (result i32)
     local.get $3
     i32.const 3
     i32.shl
     local.tee $6
     global.get $columns/prefillRate
     i32.add
     v128.load
     local.tee $1
     v128.const i32x4 0xa0b5ed8d 0x3eb0c6f7 0xa0b5ed8d 0x3eb0c6f7
     local.get $1
     v128.const i32x4 0xa0b5ed8d 0x3eb0c6f7 0xa0b5ed8d 0x3eb0c6f7
     f64x2.gt
     v128.bitselect
     local.set $10
     global.get $columns/trust
     local.get $6
     i32.add
     v128.load
     v128.const i32x4 0x00000000 0x3ff00000 0x00000000 0x3ff00000
     global.get $columns/digestDiscount
     local.get $6
     i32.add
     v128.load
     f64x2.sub
     f64x2.mul
     global.get $columns/matched
     local.get $3
     i32.const 2
     i32.shl
     i32.add
     v128.load64_zero
     f64x2.convert_low_i32x4_u
     global.get $columns/askNumbers
     f64.load offset=8
     f64x2.splat
     f64x2.mul
     local.tee $1
     global.get $columns/askNumbers
     f64.load
     f64x2.splat
     local.tee $11
     local.get $1
     local.get $11
     f64x2.lt
     v128.bitselect
     f64x2.mul
     local.set $12
     global.get $columns/askNumbers
     f64.load offset=48
     f64x2.splat
     local.tee $8
     global.get $columns/sampleAtMs
     local.get $6
     i32.add
     v128.load
     local.tee $13
     f64x2.sub
     local.set $1
     v128.const i32x4 0x00000000 0x40000000 0x00000000 0x40000000
     global.get $columns/ownTokens
     local.get $6
     i32.add
     v128.load
     local.tee $7
     f64x2.mul
     local.get $10
     local.get $8
     global.get $columns/busySinceMs
     local.get $6
     i32.add
     v128.load
     f64x2.sub
     f64x2.mul
     global.get $columns/busyTokens
     local.get $6
     i32.add
     v128.load
     f64x2.sub
     local.tee $8
     v128.const i32x4 0x00000000 0x00000000 0x00000000 0x00000000
     local.get $8
     v128.const i32x4 0x00000000 0x00000000 0x00000000 0x00000000
     f64x2.gt
     v128.bitselect
     local.tee $14
     f64x2.sub
     local.tee $8
     v128.const i32x4 0x00000000 0x00000000 0x00000000 0x00000000
     local.get $8
     v128.const i32x4 0x00000000 0x00000000 0x00000000 0x00000000
     f64x2.gt
     v128.bitselect
     local.set $15
     global.get $columns/rttMs
     local.get $6
     i32.add
     v128.load
     global.get $columns/jitterMs
     local.get $6
     i32.add
     v128.load
     f64x2.add
     global.get $columns/queuedTokens
     local.get $6
     i32.add
     v128.load
     global.get $columns/sentTokens
     local.get $6
     i32.add
     v128.load
     f64x2.add
     local.get $10
     local.get $1
     f64x2.mul
     v128.const i32x4 0x00000000 0x00000000 0x00000000 0x00000000
     local.get $1
     v128.const i32x4 0x00000000 0x00000000 0x00000000 0x00000000
     f64x2.gt
     v128.bitselect
     f64x2.sub
     local.get $13
     v128.const i32x4 0x00000000 0xfff00000 0x00000000 0xfff00000
     f64x2.gt
     local.tee $13
     v128.and
     local.tee $8
     local.get $7
     local.get $14
     local.get $15
     local.get $14
     local.get $15
     f64x2.lt
     v128.bitselect
     f64x2.sub
     local.tee $7
     local.get $8
     local.get $7
     f64x2.gt
     v128.bitselect
     local.tee $7
     v128.const i32x4 0x00000000 0x00000000 0x00000000 0x00000000
     local.get $7
     v128.const i32x4 0x00000000 0x00000000 0x00000000 0x00000000
     f64x2.gt
     v128.bitselect
     global.get $columns/waitingTokens
     local.get $6
     i32.add
     v128.load
     f64x2.add
     local.get $10
     f64x2.div
     global.get $columns/weights
     f64.load offset=8
     f64x2.splat
     global.get $columns/kvUsage
     local.get $6
     i32.add
     v128.load
     local.tee $7
     v128.const i32x4 0xd916872b 0x3feff7ce 0xd916872b 0x3feff7ce
     local.get $7
     v128.const i32x4 0xd916872b 0x3feff7ce 0xd916872b 0x3feff7ce
     f64x2.lt
     v128.bitselect
     local.tee $7
     v128.const i32x4 0x00000000 0x3ff00000 0x00000000 0x3ff00000
     local.get $7
     f64x2.sub
     f64x2.div
     f64x2.mul
     f64x2.add
     global.get $columns/weights
     f64.load offset=56
     f64x2.splat
     local.get $1
     global.get $columns/weights
     f64.load offset=64
     f64x2.splat
     f64x2.gt
     local.get $13
     v128.and
     v128.and
     f64x2.add
     f64x2.add
     local.get $11
     local.get $12
     f64x2.sub
     local.tee $1
     v128.const i32x4 0x00000000 0x3ff00000 0x00000000 0x3ff00000
     local.get $1
     v128.const i32x4 0x00000000 0x3ff00000 0x00000000 0x3ff00000
     f64x2.gt
     v128.bitselect
     local.tee $1
     local.get $10
     f64x2.div
     local.tee $7
     f64x2.add
     local.set $8
     global.get $columns/weights
     f64.load
     f64x2.splat
     local.get $7
     f64x2.mul
     local.set $7
     local.get $1
     global.get $columns/priceIn
     local.get $6
     i32.add
     v128.load
     f64x2.mul
     local.get $12
     global.get $columns/priceCached
     local.get $6
     i32.add
     v128.load
     f64x2.mul
     f64x2.add
     global.get $columns/askNumbers
     f64.load offset=16
     f64x2.splat
     global.get $columns/priceOut
     local.get $6
     i32.add
     v128.load
     f64x2.mul
     f64x2.add
     local.tee $1
     local.get $4
     f64x2.splat
     f64x2.gt
     v128.any_true
     if (result i32)
      i32.const 0
     else
      local.get $0
      i32.const 3
      i32.shl
      local.tee $6
      global.get $columns/ttfts
      i32.add
      local.get $8
      v128.store
      global.get $columns/socials
      local.get $6
      i32.add
      local.get $8
      local.get $7
      f64x2.add
      v128.store
      global.get $columns/prices
      local.get $6
      i32.add
      local.get $1
      v128.store
      i32.const 1
     end
    else
     i32.const 0
    end
    if (result i32)
     global.get $columns/candidates
     local.get $0
     i32.const 2
     i32.shl
     i32.add
     local.tee $6
     local.get $3
     i32.store
     local.get $6
     local.get $3
     i32.const 1
     i32.add
     i32.store offset=4
     local.get $2
     i32.const 1
     i32.add
     local.set $2
     local.get $0
     i32.const 2
     i32.add
    else
     local.get $0
     i32.const 1
     i32.add
     local.get $0
     local.get $3
     local.get $0
     local.get $4
     call $score/keepOne
     select
    end
    local.set $0
    local.get $2
    i32.const 1
    i32.add
    local.set $2
    br $for-loop|0
   end
  end
  local.get $0
  global.set $filter/count
 )
 (func $score/keepOne (param $0 i32) (param $1 i32) (param $2 f64) (result i32)
  (local $3 f64)
  (local $4 f64)
  (local $5 f64)
  (local $6 f64)
  (local $7 i32)
  (local $8 f64)
  (local $9 f64)
  (local $10 f64)
  local.get $0
  i32.const 3
  i32.shl
  local.tee $7
  global.get $columns/prefillRate
  i32.add
  f64.load
  local.tee $3
  f64.const 1e-06
  local.get $3
  f64.const 1e-06
  f64.gt
  select
  local.set $5
  global.get $columns/matched
  local.get $0
  i32.const 2
  i32.shl
  i32.add
  i32.load
  f64.convert_i32_u
  global.get $columns/askNumbers
  f64.load offset=8
  f64.mul
  local.tee $3
  global.get $columns/askNumbers
  f64.load
  local.tee $6
  local.get $3
  local.get $6
  f64.lt
  select
  global.set $score/matchedTokens
  global.get $columns/trust
  local.get $7
  i32.add
  f64.load
  f64.const 1
  global.get $columns/digestDiscount
  local.get $7
  i32.add
  f64.load
  f64.sub
  f64.mul
  global.get $score/matchedTokens
  f64.mul
  global.set $score/hitTokens
  local.get $6
  global.get $score/hitTokens
  f64.sub
  local.tee $3
  f64.const 1
  local.get $3
  f64.const 1
  f64.gt
  select
  global.set $score/uncached
  global.get $score/uncached
  local.get $5
  f64.div
  global.set $score/prefill
  global.get $columns/askNumbers
  f64.load offset=48
  local.tee $3
  global.get $columns/sampleAtMs
  local.get $7
  i32.add
  f64.load
  local.tee $6
  f64.sub
  local.set $8
  local.get $6
  f64.const -inf
  f64.gt
  if (result f64)
   global.get $columns/queuedTokens
   local.get $7
   i32.add
   f64.load
   global.get $columns/sentTokens
   local.get $7
   i32.add
   f64.load
   f64.add
   local.get $5
   local.get $8
   f64.mul
   f64.const 0
   local.get $8
   f64.const 0
   f64.gt
   select
   f64.sub
   local.set $4
   local.get $8
   global.get $columns/weights
   f64.load offset=64
   f64.gt
   if (result f64)
    global.get $columns/weights
    f64.load offset=56
   else
    f64.const 0
   end
  else
   f64.const 0
  end
  local.set $6
  local.get $0
  i32.const 3
  i32.shl
  local.tee $7
  global.get $columns/ownTokens
  i32.add
  f64.load
  local.tee $8
  local.get $8
  f64.add
  local.get $5
  local.get $3
  global.get $columns/busySinceMs
  local.get $7
  i32.add
  f64.load
  f64.sub
  f64.mul
  global.get $columns/busyTokens
  local.get $7
  i32.add
  f64.load
  f64.sub
  local.tee $3
  f64.const 0
  local.get $3
  f64.const 0
  f64.gt
  select
  local.tee $3
  f64.sub
  local.tee $9
  f64.const 0
  local.get $9
  f64.const 0
  f64.gt
  select
  local.set $9
  local.get $0
  i32.const 3
  i32.shl
  local.tee $7
  global.get $columns/kvUsage
  i32.add
  f64.load
  local.tee $10
  f64.const 0.999
  local.get $10
  f64.const 0.999
  f64.lt
  select
  local.set $10
  local.get $8
  local.get $3
  local.get $9
  local.get $3
  local.get $9
  f64.lt
  select
  f64.sub
  local.tee $3
  local.get $4
  f64.lt
  if
   local.get $4
   local.set $3
  end
  local.get $3
  f64.const 0
  local.get $3
  f64.const 0
  f64.gt
  select
  global.get $columns/waitingTokens
  local.get $7
  i32.add
  f64.load
  f64.add
  local.get $5
  f64.div
  global.get $columns/weights
  f64.load offset=8
  local.get $10
  f64.const 1
  local.get $10
  f64.sub
  f64.div
  f64.mul
  f64.add
  local.get $6
  f64.add
  global.set $score/wait
  global.get $columns/rttMs
  local.get $7
  i32.add
  f64.load
  global.get $columns/jitterMs
  local.get $7
  i32.add
  f64.load
  f64.add
  global.get $score/wait
  f64.add
  global.get $score/prefill
  f64.add
  global.set $score/ttft
  global.get $score/ttft
  global.get $columns/weights
  f64.load
  global.get $score/prefill
  f64.mul
  f64.add
  global.set $score/social
  global.get $score/uncached
  global.get $columns/priceIn
  local.get $7
  i32.add
  f64.load
  f64.mul
  global.get $score/hitTokens
  global.get $columns/priceCached
  local.get $7
  i32.add
  f64.load
  f64.mul
  f64.add
  global.get $columns/askNumbers
  f64.load offset=16
  global.get $columns/priceOut
  local.get $7
  i32.add
  f64.load
  f64.mul
  f64.add
  global.set $score/price
  global.get $score/price
  local.get $2
  f64.gt
  if
   global.get $columns/codes
   local.get $0
   i32.add
   i32.const 12
   i32.store8
   global.get $columns/resultWords
   i32.const -64
   i32.sub
   local.tee $0
   local.get $0
   i32.load
   i32.const 1
   i32.add
   i32.store
   i32.const 0
   return
  end
  global.get $columns/candidates
  local.get $1
  i32.const 2
  i32.shl
  i32.add
  local.get $0
  i32.store
  local.get $1
  i32.const 3
  i32.shl
  local.tee $0
  global.get $columns/ttfts
  i32.add
  global.get $score/ttft
  f64.store
  global.get $columns/socials
  local.get $0
  i32.add
  global.get $score/social
  f64.store
  global.get $columns/prices
  local.get $0
  i32.add
  global.get $score/price
  f64.store
  i32.const 1
 )
 (func $prefix/listHashes (param $0 i32) (param $1 i32) (param $2 i32) (result i32)
  (local $3 i32)
  (local $4 i32)
  (local $5 i32)
  (local $6 i32)
  (local $7 i32)
  (local $8 i32)
  global.get $recency/rowsAt
  local.get $0
  i32.const 5
  i32.shl
  i32.add
  i32.load
  i32.eqz
  if
   i32.const 0
   return
  end
  loop $for-loop|0
   local.get $1
   local.get $2
   i32.lt_u
   if
    global.get $prefix/bucketsAt
    global.get $prefix/bucketBytes
    local.get $1
    i32.const 3
    i32.shr_u
    i32.mul
    i32.add
    local.tee $4
    i32.const 192
    i32.add
    local.get $1
    i32.const 7
    i32.and
    local.tee $5
    global.get $columns/words
    i32.mul
    i32.const 3
    i32.shl
    i32.add
    local.get $0
    i32.const 6
    i32.shr_u
    i32.const 3
    i32.shl
    i32.add
    i64.load
    local.get $0
    i32.const 63
    i32.and
    i64.extend_i32_u
    i64.shr_u
    i64.const 1
    i64.and
    i32.wrap_i64
    if
     local.get $4
     local.get $5
     i32.const 3
     i32.shl
     i32.add
     i32.load
     i32.const 16777215
     i32.and
     local.set $6
     local.get $1
     i32.const -8
     i32.and
     local.set $4
     block $__inlined_func$prefix/isListed$161
      loop $for-loop|00
       local.get $1
       local.get $4
       i32.gt_u
       if
        i32.const 1
        local.set $5
        local.get $6
        global.get $prefix/bucketsAt
        global.get $prefix/bucketBytes
        local.get $4
        i32.const 3
        i32.shr_u
        i32.mul
        i32.add
        local.tee $8
        local.get $4
        i32.const 7
        i32.and
        local.tee $7
        i32.const 3
        i32.shl
        i32.add
        i32.load
        i32.const 16777215
        i32.and
        i32.eq
        if (result i32)
         local.get $8
         i32.const 192
         i32.add
         global.get $columns/words
         local.get $7
         i32.mul
         i32.const 3
         i32.shl
         i32.add
         local.get $0
         i32.const 6
         i32.shr_u
         i32.const 3
         i32.shl
         i32.add
         i64.load
         local.get $0
         i32.const 63
         i32.and
         i64.extend_i32_u
         i64.shr_u
         i64.const 1
         i64.and
         i32.wrap_i64
        else
         i32.const 0
        end
        br_if $__inlined_func$prefix/isListed$161
        local.get $4
        i32.const 1
        i32.add
        local.set $4
        br $for-loop|00
       end
      end
      i32.const 0
      local.set $5
     end
    else
     i32.const 1
     local.set $5
    end
    local.get $5
    i32.eqz
    if
     global.get $columns/textWindow
     local.get $3
     i32.const 2
     i32.shl
     i32.add
     global.get $prefix/bucketsAt
     global.get $prefix/bucketBytes
     local.get $1
     i32.const 3
     i32.shr_u
     i32.mul
     i32.add
     local.get $1
     i32.const 7
     i32.and
     i32.const 3
     i32.shl
     i32.add
     i32.load
     i32.const 16777215
     i32.and
     i32.store
     local.get $3
     i32.const 1
     i32.add
     local.set $3
    end
    local.get $1
    i32.const 1
    i32.add
    local.set $1
    br $for-loop|0
   end
  end
  local.get $3
 )
 (func $pick/pick
  (local $0 f64)
  (local $1 i32)
  (local $2 f64)
  (local $3 i32)
  (local $4 i32)
  (local $5 i32)
  (local $6 f64)
  (local $7 f64)
  (local $8 f64)
  (local $9 f64)
  (local $10 f64)
  global.get $columns/resultWords
  global.get $filter/count
  i32.store offset=16
  global.get $columns/resultWords
  global.get $filter/count
  i32.store offset=8
  global.get $filter/count
  i32.eqz
  if
   global.get $columns/resultWords
   i32.const -1
   i32.store
   global.get $columns/resultWords
   i32.const 0
   i32.store offset=4
   global.get $columns/resultNumbers
   i32.const 0
   i32.const 64
   memory.fill
   return
  end
  global.get $columns/askNumbers
  f64.load offset=32
  local.set $2
  f64.const inf
  local.set $0
  i32.const 0
  global.set $pick/pooled
  loop $for-loop|0
   local.get $4
   global.get $filter/count
   i32.lt_u
   if
    local.get $2
    local.get $4
    i32.const 3
    i32.shl
    local.tee $5
    global.get $columns/ttfts
    i32.add
    f64.load
    f64.ge
    if
     global.get $pick/pooled
     i32.const 1
     i32.add
     global.set $pick/pooled
     global.get $columns/prices
     local.get $5
     i32.add
     f64.load
     local.tee $6
     local.get $0
     f64.lt
     if
      local.get $6
      local.set $0
     end
    end
    local.get $4
    i32.const 1
    i32.add
    local.set $4
    br $for-loop|0
   end
  end
  local.get $2
  f64.const inf
  global.get $pick/pooled
  i32.const 0
  i32.ne
  local.tee $4
  select
  global.set $pick/ttftLimit
  local.get $4
  if (result f64)
   local.get $0
   global.get $columns/weights
   f64.load offset=32
   f64.const 1
   f64.add
   f64.mul
  else
   f64.const inf
  end
  global.set $pick/priceLimit
  global.get $columns/candidates
  block $__inlined_func$pick/orSession$4 (result i32)
   block $__inlined_func$pick/draw$3 (result i32)
    f64.const inf
    local.set $0
    i32.const 0
    global.set $pick/affordable
    loop $for-loop|00
     local.get $3
     global.get $filter/count
     i32.lt_u
     if
      global.get $pick/ttftLimit
      local.get $3
      i32.const 3
      i32.shl
      local.tee $5
      global.get $columns/ttfts
      i32.add
      f64.load
      f64.ge
      if (result i32)
       global.get $pick/priceLimit
       global.get $columns/prices
       local.get $5
       i32.add
       f64.load
       f64.ge
      else
       i32.const 0
      end
      if
       global.get $pick/affordable
       i32.const 1
       i32.add
       global.set $pick/affordable
       global.get $columns/socials
       local.get $3
       i32.const 3
       i32.shl
       i32.add
       f64.load
       local.tee $2
       local.get $0
       f64.lt
       if
        local.get $2
        local.set $0
       end
      end
      local.get $3
      i32.const 1
      i32.add
      local.set $3
      br $for-loop|00
     end
    end
    local.get $0
    global.get $columns/weights
    f64.load offset=40
    f64.const 1
    f64.add
    f64.mul
    global.get $columns/weights
    f64.load offset=48
    f64.add
    local.set $0
    i32.const 0
    local.set $3
    loop $for-loop|1
     local.get $3
     global.get $filter/count
     i32.lt_u
     if
      global.get $pick/ttftLimit
      local.get $3
      i32.const 3
      i32.shl
      local.tee $5
      global.get $columns/ttfts
      i32.add
      f64.load
      f64.ge
      if (result i32)
       global.get $pick/priceLimit
       global.get $columns/prices
       local.get $5
       i32.add
       f64.load
       f64.ge
      else
       i32.const 0
      end
      if (result i32)
       local.get $0
       global.get $columns/socials
       local.get $3
       i32.const 3
       i32.shl
       i32.add
       f64.load
       f64.ge
      else
       i32.const 0
      end
      if
       global.get $columns/ties
       local.get $1
       i32.const 2
       i32.shl
       i32.add
       local.get $3
       i32.store
       local.get $1
       i32.const 1
       i32.add
       local.set $1
      end
      local.get $3
      i32.const 1
      i32.add
      local.set $3
      br $for-loop|1
     end
    end
    i32.const 0
    local.get $1
    i32.eqz
    br_if $__inlined_func$pick/draw$3
    drop
    global.get $columns/ties
    global.get $columns/askWords
    i64.load32_u offset=32
    local.get $1
    i64.extend_i32_u
    i64.mul
    i64.const 32
    i64.shr_u
    i32.wrap_i64
    i32.const 2
    i32.shl
    i32.add
    i32.load
   end
   local.set $1
   i32.const 0
   local.set $3
   local.get $1
   global.get $columns/askWords
   i32.load offset=20
   local.tee $5
   i32.const 0
   i32.lt_s
   if (result i32)
    i32.const 1
   else
    local.get $5
    global.get $columns/candidates
    local.get $1
    i32.const 2
    i32.shl
    i32.add
    i32.load
    i32.eq
   end
   br_if $__inlined_func$pick/orSession$4
   drop
   block $__inlined_func$pick/indexOf$135
    loop $for-loop|01
     local.get $3
     global.get $filter/count
     i32.lt_u
     if
      local.get $5
      global.get $columns/candidates
      local.get $3
      i32.const 2
      i32.shl
      i32.add
      i32.load
      i32.eq
      br_if $__inlined_func$pick/indexOf$135
      local.get $3
      i32.const 1
      i32.add
      local.set $3
      br $for-loop|01
     end
    end
    i32.const -1
    local.set $3
   end
   local.get $1
   local.get $3
   i32.const 0
   i32.lt_s
   if (result i32)
    i32.const 0
   else
    global.get $pick/ttftLimit
    global.get $columns/ttfts
    local.get $3
    i32.const 3
    i32.shl
    i32.add
    f64.load
    f64.ge
   end
   i32.eqz
   br_if $__inlined_func$pick/orSession$4
   drop
   global.get $columns/weights
   f64.load offset=16
   local.set $0
   global.get $columns/candidates
   local.get $3
   i32.const 2
   i32.shl
   i32.add
   i32.load
   local.set $5
   local.get $1
   local.get $3
   block $__inlined_func$pick/outweighs$136 (result i32)
    local.get $4
    if
     i32.const 1
     global.get $columns/prices
     local.get $3
     i32.const 3
     i32.shl
     i32.add
     f64.load
     global.get $columns/prices
     local.get $1
     i32.const 3
     i32.shl
     i32.add
     f64.load
     global.get $columns/weights
     f64.load offset=32
     f64.const 1
     f64.add
     f64.mul
     local.get $0
     global.get $columns/priceIn
     local.get $5
     i32.const 3
     i32.shl
     i32.add
     f64.load
     f64.mul
     f64.add
     f64.gt
     br_if $__inlined_func$pick/outweighs$136
     drop
    end
    global.get $columns/socials
    local.get $3
    i32.const 3
    i32.shl
    i32.add
    f64.load
    local.tee $2
    global.get $columns/socials
    local.get $1
    i32.const 3
    i32.shl
    i32.add
    f64.load
    local.tee $6
    f64.sub
    local.get $0
    global.get $columns/prefillRate
    local.get $5
    i32.const 3
    i32.shl
    i32.add
    f64.load
    local.tee $0
    f64.const 1e-06
    local.get $0
    f64.const 1e-06
    f64.gt
    select
    f64.div
    f64.gt
    if (result i32)
     local.get $2
     global.get $columns/weights
     f64.load offset=24
     local.get $6
     f64.mul
     f64.gt
    else
     i32.const 0
    end
   end
   select
  end
  local.tee $1
  i32.const 2
  i32.shl
  i32.add
  i32.load
  local.tee $3
  i32.const 3
  i32.shl
  local.tee $5
  global.get $columns/prefillRate
  i32.add
  f64.load
  local.tee $0
  f64.const 1e-06
  local.get $0
  f64.const 1e-06
  f64.gt
  select
  local.set $6
  global.get $columns/matched
  local.get $3
  i32.const 2
  i32.shl
  i32.add
  i32.load
  f64.convert_i32_u
  global.get $columns/askNumbers
  f64.load offset=8
  f64.mul
  local.tee $0
  global.get $columns/askNumbers
  f64.load
  local.tee $2
  local.get $0
  local.get $2
  f64.lt
  select
  global.set $score/matchedTokens
  global.get $columns/trust
  local.get $5
  i32.add
  f64.load
  f64.const 1
  global.get $columns/digestDiscount
  local.get $5
  i32.add
  f64.load
  f64.sub
  f64.mul
  global.get $score/matchedTokens
  f64.mul
  global.set $score/hitTokens
  local.get $2
  global.get $score/hitTokens
  f64.sub
  local.tee $0
  f64.const 1
  local.get $0
  f64.const 1
  f64.gt
  select
  global.set $score/uncached
  global.get $score/uncached
  local.get $6
  f64.div
  global.set $score/prefill
  global.get $columns/askNumbers
  f64.load offset=48
  local.tee $2
  global.get $columns/sampleAtMs
  local.get $5
  i32.add
  f64.load
  local.tee $7
  f64.sub
  local.set $8
  f64.const 0
  local.set $0
  local.get $7
  f64.const -inf
  f64.gt
  if (result f64)
   global.get $columns/queuedTokens
   local.get $5
   i32.add
   f64.load
   global.get $columns/sentTokens
   local.get $5
   i32.add
   f64.load
   f64.add
   local.get $6
   local.get $8
   f64.mul
   f64.const 0
   local.get $8
   f64.const 0
   f64.gt
   select
   f64.sub
   local.set $0
   local.get $8
   global.get $columns/weights
   f64.load offset=64
   f64.gt
   if (result f64)
    global.get $columns/weights
    f64.load offset=56
   else
    f64.const 0
   end
  else
   f64.const 0
  end
  local.set $7
  local.get $3
  i32.const 3
  i32.shl
  local.tee $5
  global.get $columns/ownTokens
  i32.add
  f64.load
  local.tee $8
  local.get $8
  f64.add
  local.get $6
  local.get $2
  global.get $columns/busySinceMs
  local.get $5
  i32.add
  f64.load
  f64.sub
  f64.mul
  global.get $columns/busyTokens
  local.get $5
  i32.add
  f64.load
  f64.sub
  local.tee $2
  f64.const 0
  local.get $2
  f64.const 0
  f64.gt
  select
  local.tee $2
  f64.sub
  local.tee $9
  f64.const 0
  local.get $9
  f64.const 0
  f64.gt
  select
  local.set $9
  local.get $3
  i32.const 3
  i32.shl
  local.tee $3
  global.get $columns/kvUsage
  i32.add
  f64.load
  local.tee $10
  f64.const 0.999
  local.get $10
  f64.const 0.999
  f64.lt
  select
  local.set $10
  local.get $8
  local.get $2
  local.get $9
  local.get $2
  local.get $9
  f64.lt
  select
  f64.sub
  local.tee $2
  local.get $0
  f64.lt
  if
   local.get $0
   local.set $2
  end
  local.get $2
  f64.const 0
  local.get $2
  f64.const 0
  f64.gt
  select
  global.get $columns/waitingTokens
  local.get $3
  i32.add
  f64.load
  f64.add
  local.get $6
  f64.div
  global.get $columns/weights
  f64.load offset=8
  local.get $10
  f64.const 1
  local.get $10
  f64.sub
  f64.div
  f64.mul
  f64.add
  local.get $7
  f64.add
  global.set $score/wait
  global.get $columns/rttMs
  local.get $3
  i32.add
  f64.load
  global.get $columns/jitterMs
  local.get $3
  i32.add
  f64.load
  f64.add
  global.get $score/wait
  f64.add
  global.get $score/prefill
  f64.add
  global.set $score/ttft
  global.get $score/ttft
  global.get $columns/weights
  f64.load
  global.get $score/prefill
  f64.mul
  f64.add
  global.set $score/social
  global.get $score/uncached
  global.get $columns/priceIn
  local.get $3
  i32.add
  f64.load
  f64.mul
  global.get $score/hitTokens
  global.get $columns/priceCached
  local.get $3
  i32.add
  f64.load
  f64.mul
  f64.add
  global.get $columns/askNumbers
  f64.load offset=16
  global.get $columns/priceOut
  local.get $3
  i32.add
  f64.load
  f64.mul
  f64.add
  global.set $score/price
  global.get $columns/resultWords
  global.get $columns/candidates
  local.get $1
  i32.const 2
  i32.shl
  i32.add
  i32.load
  i32.store
  global.get $columns/resultWords
  block $__inlined_func$pick/choiceOf$5 (result i32)
   i32.const 6
   local.get $4
   i32.eqz
   br_if $__inlined_func$pick/choiceOf$5
   drop
   i32.const 1
   global.get $filter/count
   i32.const 1
   i32.eq
   br_if $__inlined_func$pick/choiceOf$5
   drop
   i32.const 2
   global.get $columns/candidates
   local.get $1
   i32.const 2
   i32.shl
   i32.add
   i32.load
   global.get $columns/askWords
   i32.load offset=20
   i32.eq
   br_if $__inlined_func$pick/choiceOf$5
   drop
   i32.const 3
   block $__inlined_func$pick/winsByPrefix$137 (result i32)
    i32.const 0
    global.get $score/matchedTokens
    f64.const 0
    f64.gt
    i32.eqz
    br_if $__inlined_func$pick/winsByPrefix$137
    drop
    global.get $columns/askNumbers
    f64.load
    global.get $columns/candidates
    local.get $1
    i32.const 2
    i32.shl
    i32.add
    i32.load
    i32.const 3
    i32.shl
    local.tee $3
    global.get $columns/priceIn
    i32.add
    f64.load
    f64.mul
    global.get $columns/askNumbers
    f64.load offset=16
    global.get $columns/priceOut
    local.get $3
    i32.add
    f64.load
    f64.mul
    f64.add
    local.set $0
    global.get $score/social
    global.get $columns/weights
    f64.load
    f64.const 1
    f64.add
    global.get $score/hitTokens
    global.get $columns/prefillRate
    local.get $3
    i32.add
    f64.load
    local.tee $2
    f64.const 1e-06
    local.get $2
    f64.const 1e-06
    f64.gt
    select
    f64.div
    f64.mul
    f64.add
    local.set $2
    global.get $columns/weights
    f64.load offset=32
    f64.const 1
    f64.add
    local.set $6
    i32.const 0
    local.set $4
    loop $for-loop|02
     local.get $4
     global.get $filter/count
     i32.lt_u
     if
      local.get $1
      local.get $4
      i32.eq
      if (result i32)
       i32.const 0
      else
       global.get $pick/ttftLimit
       global.get $columns/ttfts
       local.get $4
       i32.const 3
       i32.shl
       i32.add
       f64.load
       f64.ge
      end
      if
       i32.const 1
       local.get $0
       local.get $4
       i32.const 3
       i32.shl
       local.tee $3
       global.get $columns/prices
       i32.add
       f64.load
       local.tee $7
       local.get $6
       f64.mul
       f64.gt
       br_if $__inlined_func$pick/winsByPrefix$137
       drop
       i32.const 1
       local.get $7
       local.get $0
       local.get $6
       f64.mul
       f64.le
       local.get $2
       global.get $columns/socials
       local.get $3
       i32.add
       f64.load
       f64.ge
       i32.and
       br_if $__inlined_func$pick/winsByPrefix$137
       drop
      end
      local.get $4
      i32.const 1
      i32.add
      local.set $4
      br $for-loop|02
     end
    end
    i32.const 0
   end
   br_if $__inlined_func$pick/choiceOf$5
   drop
   i32.const 4
   i32.const 5
   global.get $pick/affordable
   global.get $pick/pooled
   i32.lt_u
   select
  end
  i32.store offset=4
  global.get $columns/resultNumbers
  global.get $score/ttft
  f64.store
  global.get $columns/resultNumbers
  global.get $score/wait
  f64.store offset=8
  global.get $columns/resultNumbers
  global.get $score/prefill
  f64.store offset=16
  global.get $columns/resultNumbers
  global.get $score/social
  f64.store offset=24
  global.get $columns/resultNumbers
  global.get $score/price
  f64.store offset=32
  global.get $columns/resultNumbers
  global.get $score/matchedTokens
  f64.store offset=40
  global.get $columns/resultNumbers
  global.get $score/uncached
  f64.store offset=48
 )
 (func $match/matchedChunks (param $0 i32) (param $1 i32) (result i32)
  (local $2 i32)
  (local $3 i32)
  (local $4 i32)
  (local $5 i64)
  (local $6 v128)
  (local $7 i32)
  loop $for-loop|0
   local.get $0
   local.get $4
   i32.gt_u
   if
    global.get $prefix/bucketsAt
    global.get $prefix/buckets
    global.get $columns/chain
    local.get $4
    i32.const 3
    i32.shl
    i32.add
    i64.load
    local.tee $5
    i64.const 16777215
    i64.and
    i64.mul
    i64.const 24
    i64.shr_u
    i32.wrap_i64
    local.tee $2
    global.get $prefix/bucketBytes
    i32.mul
    i32.add
    local.tee $3
    v128.load
    local.get $5
    i64x2.splat
    local.tee $6
    i64x2.eq
    i64x2.bitmask
    local.get $3
    v128.load offset=16
    local.get $6
    i64x2.eq
    i64x2.bitmask
    i32.const 2
    i32.shl
    i32.or
    local.get $3
    v128.load offset=32
    local.get $6
    i64x2.eq
    i64x2.bitmask
    i32.const 4
    i32.shl
    i32.or
    local.get $3
    v128.load offset=48
    local.get $6
    i64x2.eq
    i64x2.bitmask
    i32.const 6
    i32.shl
    i32.or
    local.tee $3
    i32.ctz
    local.get $2
    i32.const 3
    i32.shl
    i32.add
    i32.const -1
    local.get $3
    select
    local.tee $2
    i32.const 0
    i32.ge_s
    local.tee $3
    if (result i32)
     global.get $prefix/bucketsAt
     global.get $prefix/bucketBytes
     local.get $2
     i32.const 3
     i32.shr_u
     i32.mul
     i32.add
     i32.const 192
     i32.add
     global.get $columns/words
     local.get $2
     i32.const 7
     i32.and
     i32.mul
     i32.const 3
     i32.shl
     i32.add
     local.get $1
     i32.const 6
     i32.shr_u
     i32.const 3
     i32.shl
     i32.add
     i64.load
     local.get $1
     i32.const 63
     i32.and
     i64.extend_i32_u
     i64.shr_u
     i64.const 1
     i64.and
     i32.wrap_i64
    else
     local.get $3
    end
    if (result i32)
     i32.const 1
    else
     global.get $columns/chain
     local.get $4
     i32.const 3
     i32.shl
     i32.add
     i64.load
     local.set $5
     global.get $digest/pairs
     if (result i32)
      local.get $5
      i32.wrap_i64
      i32.const 16777215
      i32.and
      local.tee $2
      i32.const 1
      i32.add
      local.set $7
      global.get $digest/slotsAt
      local.get $2
      i64.extend_i32_u
      global.get $digest/slots
      i64.extend_i32_u
      i64.mul
      i64.const 24
      i64.shr_u
      i32.wrap_i64
      local.tee $2
      i32.const 3
      i32.shl
      i32.add
      i32.load
      local.set $3
      loop $for-loop|00
       local.get $3
       i32.const 0
       i32.ne
       local.get $3
       local.get $7
       i32.ne
       i32.and
       if
        global.get $digest/slotsAt
        local.get $2
        i32.const 1
        i32.add
        local.tee $2
        i32.const 0
        global.get $digest/slots
        local.get $2
        i32.ne
        select
        local.tee $2
        i32.const 3
        i32.shl
        i32.add
        i32.load
        local.set $3
        br $for-loop|00
       end
      end
      global.get $digest/slotsAt
      local.get $2
      i32.const 3
      i32.shl
      i32.add
      local.tee $2
      i32.load
      if (result i32)
       block $digest/isHolder|inlined.0 (result i32)
        local.get $2
        i32.load offset=4
        local.tee $2
        i32.const -2147483648
        i32.ge_u
        if
         global.get $digest/masksAt
         global.get $columns/words
         local.get $2
         i32.const 1073741823
         i32.and
         i32.mul
         i32.const 3
         i32.shl
         i32.add
         local.get $1
         i32.const 6
         i32.shr_u
         i32.const 3
         i32.shl
         i32.add
         i64.load
         local.get $1
         i32.const 63
         i32.and
         i64.extend_i32_u
         i64.shr_u
         i64.const 1
         i64.and
         i32.wrap_i64
         br $digest/isHolder|inlined.0
        end
        local.get $1
        local.get $2
        i32.const 4095
        i32.and
        i32.eq
        if (result i32)
         i32.const 1
        else
         local.get $1
         local.get $2
         i32.const 12
         i32.shr_u
         i32.const 4095
         i32.and
         i32.eq
        end
       end
      else
       i32.const 0
      end
     else
      i32.const 0
     end
    end
    i32.eqz
    if
     local.get $4
     return
    end
    local.get $4
    i32.const 1
    i32.add
    local.set $4
    br $for-loop|0
   end
  end
  local.get $0
 )
 (func $match/matchBoth256 (param $0 i32)
  (local $1 v128)
  (local $2 i64)
  (local $3 i32)
  (local $4 i32)
  (local $5 v128)
  (local $6 i32)
  (local $7 v128)
  (local $8 v128)
  (local $9 v128)
  (local $10 v128)
  (local $11 v128)
  (local $12 i32)
  global.get $columns/told
  v128.load
  local.set $10
  global.get $columns/told
  v128.load offset=16
  local.set $11
  global.get $columns/active
  v128.load
  local.set $7
  global.get $columns/active
  v128.load offset=16
  local.set $8
  loop $for-loop|0
   local.get $0
   local.get $4
   i32.gt_u
   if
    local.get $7
    global.get $prefix/bucketsAt
    global.get $prefix/bucketBytes
    global.get $prefix/buckets
    global.get $columns/chain
    local.get $4
    i32.const 3
    i32.shl
    i32.add
    i64.load
    local.tee $2
    i64.const 16777215
    i64.and
    i64.mul
    i64.const 24
    i64.shr_u
    i32.wrap_i64
    i32.mul
    i32.add
    local.tee $3
    v128.load
    local.get $2
    i64x2.splat
    local.tee $1
    i64x2.eq
    i64x2.bitmask
    local.get $3
    v128.load offset=16
    local.get $1
    i64x2.eq
    i64x2.bitmask
    i32.const 2
    i32.shl
    i32.or
    local.get $3
    v128.load offset=32
    local.get $1
    i64x2.eq
    i64x2.bitmask
    i32.const 4
    i32.shl
    i32.or
    local.get $3
    v128.load offset=48
    local.get $1
    i64x2.eq
    i64x2.bitmask
    i32.const 6
    i32.shl
    i32.or
    local.tee $6
    if (result i32)
     local.get $3
     i32.const 192
     i32.add
     local.get $6
     i32.ctz
     i32.const 5
     i32.shl
     i32.add
    else
     global.get $columns/nobody
    end
    local.tee $3
    v128.load
    v128.andnot
    local.tee $5
    local.get $10
    v128.and
    local.get $8
    local.get $3
    v128.load offset=16
    v128.andnot
    local.tee $1
    local.get $11
    v128.and
    v128.or
    v128.any_true
    if
     local.get $2
     i32.wrap_i64
     i32.const 16777215
     i32.and
     local.tee $3
     i32.const 1
     i32.add
     local.set $12
     global.get $digest/slotsAt
     local.get $3
     i64.extend_i32_u
     global.get $digest/slots
     i64.extend_i32_u
     i64.mul
     i64.const 24
     i64.shr_u
     i32.wrap_i64
     local.tee $3
     i32.const 3
     i32.shl
     i32.add
     i32.load
     local.set $6
     loop $for-loop|1
      local.get $6
      i32.const 0
      i32.ne
      local.get $6
      local.get $12
      i32.ne
      i32.and
      if
       global.get $digest/slotsAt
       local.get $3
       i32.const 1
       i32.add
       local.tee $3
       i32.const 0
       global.get $digest/slots
       local.get $3
       i32.ne
       select
       local.tee $3
       i32.const 3
       i32.shl
       i32.add
       i32.load
       local.set $6
       br $for-loop|1
      end
     end
     v128.const i32x4 0x00000000 0x00000000 0x00000000 0x00000000
     local.set $9
     block $match/digestPair|inlined.0
      global.get $digest/slotsAt
      local.get $3
      i32.const 3
      i32.shl
      i32.add
      local.tee $3
      i32.load
      if (result i32)
       local.get $3
       i32.load offset=4
      else
       i32.const -1
      end
      local.tee $3
      i32.const -1
      i32.eq
      br_if $match/digestPair|inlined.0
      local.get $3
      i32.const -2147483648
      i32.ge_u
      if
       global.get $digest/masksAt
       global.get $columns/words
       local.get $3
       i32.const 1073741823
       i32.and
       i32.mul
       i32.const 3
       i32.shl
       i32.add
       v128.load
       local.set $9
       br $match/digestPair|inlined.0
      end
      local.get $3
      i32.const 4095
      i32.and
      local.tee $6
      i32.const 6
      i32.shr_u
      i64.extend_i32_u
      i64x2.splat
      v128.const i32x4 0x00000000 0x00000000 0x00000001 0x00000000
      i64x2.eq
      i64.const 1
      local.get $6
      i32.const 63
      i32.and
      i64.extend_i32_u
      i64.shl
      i64x2.splat
      v128.and
      local.get $3
      i32.const 12
      i32.shr_u
      i32.const 4095
      i32.and
      local.tee $6
      i32.const 6
      i32.shr_u
      i64.extend_i32_u
      i64x2.splat
      v128.const i32x4 0x00000000 0x00000000 0x00000001 0x00000000
      i64x2.eq
      i64.const 1
      local.get $6
      i32.const 63
      i32.and
      i64.extend_i32_u
      i64.shl
      i64x2.splat
      v128.and
      v128.or
      local.set $9
     end
     local.get $5
     local.get $9
     v128.andnot
     local.set $5
     local.get $1
     block $match/digestPair|inlined.1 (result v128)
      v128.const i32x4 0x00000000 0x00000000 0x00000000 0x00000000
      local.get $3
      i32.const -1
      i32.eq
      br_if $match/digestPair|inlined.1
      drop
      local.get $3
      i32.const -2147483648
      i32.ge_u
      if
       global.get $digest/masksAt
       global.get $columns/words
       local.get $3
       i32.const 1073741823
       i32.and
       i32.mul
       i32.const 3
       i32.shl
       i32.add
       v128.load offset=16
       br $match/digestPair|inlined.1
      end
      local.get $3
      i32.const 4095
      i32.and
      local.tee $6
      i32.const 6
      i32.shr_u
      i64.extend_i32_u
      i64x2.splat
      v128.const i32x4 0x00000002 0x00000000 0x00000003 0x00000000
      i64x2.eq
      i64.const 1
      local.get $6
      i32.const 63
      i32.and
      i64.extend_i32_u
      i64.shl
      i64x2.splat
      v128.and
      local.get $3
      i32.const 12
      i32.shr_u
      i32.const 4095
      i32.and
      local.tee $3
      i32.const 6
      i32.shr_u
      i64.extend_i32_u
      i64x2.splat
      v128.const i32x4 0x00000002 0x00000000 0x00000003 0x00000000
      i64x2.eq
      i64.const 1
      local.get $3
      i32.const 63
      i32.and
      i64.extend_i32_u
      i64.shl
      i64x2.splat
      v128.and
      v128.or
     end
     v128.andnot
     local.set $1
    end
    local.get $5
    local.get $1
    v128.or
    v128.any_true
    if
     local.get $5
     i64x2.extract_lane 0
     local.set $2
     loop $for-loop|2
      local.get $2
      i64.const 0
      i64.ne
      if
       global.get $columns/matched
       local.get $2
       i64.ctz
       i32.wrap_i64
       i32.const 2
       i32.shl
       i32.add
       local.get $4
       i32.store
       local.get $2
       local.get $2
       i64.const 1
       i64.sub
       i64.and
       local.set $2
       br $for-loop|2
      end
     end
     local.get $5
     i64x2.extract_lane 1
     local.set $2
     loop $for-loop|3
      local.get $2
      i64.const 0
      i64.ne
      if
       global.get $columns/matched
       local.get $2
       i64.ctz
       i32.wrap_i64
       i32.const -64
       i32.sub
       i32.const 2
       i32.shl
       i32.add
       local.get $4
       i32.store
       local.get $2
       local.get $2
       i64.const 1
       i64.sub
       i64.and
       local.set $2
       br $for-loop|3
      end
     end
     local.get $1
     i64x2.extract_lane 0
     local.set $2
     loop $for-loop|4
      local.get $2
      i64.const 0
      i64.ne
      if
       global.get $columns/matched
       local.get $2
       i64.ctz
       i32.wrap_i64
       i32.const 128
       i32.add
       i32.const 2
       i32.shl
       i32.add
       local.get $4
       i32.store
       local.get $2
       local.get $2
       i64.const 1
       i64.sub
       i64.and
       local.set $2
       br $for-loop|4
      end
     end
     local.get $1
     i64x2.extract_lane 1
     local.set $2
     loop $for-loop|5
      local.get $2
      i64.const 0
      i64.ne
      if
       global.get $columns/matched
       local.get $2
       i64.ctz
       i32.wrap_i64
       i32.const 192
       i32.add
       i32.const 2
       i32.shl
       i32.add
       local.get $4
       i32.store
       local.get $2
       local.get $2
       i64.const 1
       i64.sub
       i64.and
       local.set $2
       br $for-loop|5
      end
     end
     local.get $7
     local.get $5
     v128.xor
     local.tee $7
     local.get $8
     local.get $1
     v128.xor
     local.tee $8
     v128.or
     v128.any_true
     i32.eqz
     if
      return
     end
    end
    local.get $4
    i32.const 1
    i32.add
    local.set $4
    br $for-loop|0
   end
  end
  local.get $7
  i64x2.extract_lane 0
  local.set $2
  loop $for-loop|6
   local.get $2
   i64.const 0
   i64.ne
   if
    global.get $columns/matched
    local.get $2
    i64.ctz
    i32.wrap_i64
    i32.const 2
    i32.shl
    i32.add
    local.get $4
    i32.store
    local.get $2
    local.get $2
    i64.const 1
    i64.sub
    i64.and
    local.set $2
    br $for-loop|6
   end
  end
  local.get $7
  i64x2.extract_lane 1
  local.set $2
  loop $for-loop|7
   local.get $2
   i64.const 0
   i64.ne
   if
    global.get $columns/matched
    local.get $2
    i64.ctz
    i32.wrap_i64
    i32.const -64
    i32.sub
    i32.const 2
    i32.shl
    i32.add
    local.get $4
    i32.store
    local.get $2
    local.get $2
    i64.const 1
    i64.sub
    i64.and
    local.set $2
    br $for-loop|7
   end
  end
  local.get $8
  i64x2.extract_lane 0
  local.set $2
  loop $for-loop|8
   local.get $2
   i64.const 0
   i64.ne
   if
    global.get $columns/matched
    local.get $2
    i64.ctz
    i32.wrap_i64
    i32.const 128
    i32.add
    i32.const 2
    i32.shl
    i32.add
    local.get $4
    i32.store
    local.get $2
    local.get $2
    i64.const 1
    i64.sub
    i64.and
    local.set $2
    br $for-loop|8
   end
  end
  local.get $8
  i64x2.extract_lane 1
  local.set $2
  loop $for-loop|9
   local.get $2
   i64.const 0
   i64.ne
   if
    global.get $columns/matched
    local.get $2
    i64.ctz
    i32.wrap_i64
    i32.const 192
    i32.add
    i32.const 2
    i32.shl
    i32.add
    local.get $4
    i32.store
    local.get $2
    local.get $2
    i64.const 1
    i64.sub
    i64.and
    local.set $2
    br $for-loop|9
   end
  end
 )
 (func $match/matchBoth (param $0 i32)
  (local $1 i32)
  (local $2 i64)
  (local $3 i32)
  (local $4 v128)
  (local $5 i32)
  (local $6 v128)
  (local $7 i32)
  (local $8 v128)
  (local $9 i32)
  (local $10 i32)
  global.get $columns/words
  i32.const 3
  i32.shl
  local.set $7
  loop $for-loop|0
   local.get $0
   local.get $5
   i32.gt_u
   if
    global.get $prefix/bucketsAt
    global.get $prefix/bucketBytes
    global.get $prefix/buckets
    global.get $columns/chain
    local.get $5
    i32.const 3
    i32.shl
    i32.add
    i64.load
    local.tee $2
    i64.const 16777215
    i64.and
    i64.mul
    i64.const 24
    i64.shr_u
    i32.wrap_i64
    i32.mul
    i32.add
    local.tee $1
    v128.load
    local.get $2
    i64x2.splat
    local.tee $4
    i64x2.eq
    i64x2.bitmask
    local.get $1
    v128.load offset=16
    local.get $4
    i64x2.eq
    i64x2.bitmask
    i32.const 2
    i32.shl
    i32.or
    local.get $1
    v128.load offset=32
    local.get $4
    i64x2.eq
    i64x2.bitmask
    i32.const 4
    i32.shl
    i32.or
    local.get $1
    v128.load offset=48
    local.get $4
    i64x2.eq
    i64x2.bitmask
    i32.const 6
    i32.shl
    i32.or
    local.tee $3
    if (result i32)
     local.get $1
     i32.const 192
     i32.add
     local.get $3
     i32.ctz
     local.get $7
     i32.mul
     i32.add
    else
     global.get $columns/nobody
    end
    local.set $3
    v128.const i32x4 0x00000000 0x00000000 0x00000000 0x00000000
    local.set $6
    v128.const i32x4 0x00000000 0x00000000 0x00000000 0x00000000
    local.set $4
    i32.const 0
    local.set $1
    loop $for-loop|1
     local.get $1
     local.get $7
     i32.lt_u
     if
      local.get $6
      global.get $columns/active
      local.get $1
      i32.add
      v128.load
      local.get $1
      local.get $3
      i32.add
      v128.load
      v128.andnot
      local.tee $8
      v128.or
      local.set $6
      local.get $4
      local.get $8
      global.get $columns/told
      local.get $1
      i32.add
      v128.load
      v128.and
      v128.or
      local.set $4
      global.get $columns/lost
      local.get $1
      i32.add
      local.get $8
      v128.store
      local.get $1
      i32.const 16
      i32.add
      local.set $1
      br $for-loop|1
     end
    end
    i32.const 2
    local.get $6
    v128.any_true
    i32.const 0
    i32.ne
    local.get $4
    v128.any_true
    select
    local.tee $1
    if
     local.get $1
     i32.const 2
     i32.eq
     if
      block $__inlined_func$digest/removeHolders$2
       local.get $2
       i32.wrap_i64
       i32.const 16777215
       i32.and
       local.tee $1
       i32.const 1
       i32.add
       local.set $9
       global.get $digest/slotsAt
       local.get $1
       i64.extend_i32_u
       global.get $digest/slots
       i64.extend_i32_u
       i64.mul
       i64.const 24
       i64.shr_u
       i32.wrap_i64
       local.tee $1
       i32.const 3
       i32.shl
       i32.add
       i32.load
       local.set $3
       loop $for-loop|00
        local.get $3
        i32.const 0
        i32.ne
        local.get $3
        local.get $9
        i32.ne
        i32.and
        if
         global.get $digest/slotsAt
         local.get $1
         i32.const 1
         i32.add
         local.tee $1
         i32.const 0
         global.get $digest/slots
         local.get $1
         i32.ne
         select
         local.tee $1
         i32.const 3
         i32.shl
         i32.add
         i32.load
         local.set $3
         br $for-loop|00
        end
       end
       global.get $digest/slotsAt
       local.get $1
       i32.const 3
       i32.shl
       i32.add
       local.tee $1
       i32.load
       if (result i32)
        local.get $1
        i32.load offset=4
       else
        i32.const -1
       end
       local.tee $1
       i32.const -1
       i32.eq
       br_if $__inlined_func$digest/removeHolders$2
       global.get $columns/lost
       local.set $3
       local.get $1
       i32.const -2147483648
       i32.lt_u
       if
        local.get $3
        local.get $1
        i32.const 4095
        i32.and
        local.tee $9
        i32.const 6
        i32.shr_u
        i32.const 3
        i32.shl
        i32.add
        local.tee $10
        local.get $10
        i64.load
        i64.const -2
        local.get $9
        i32.const 63
        i32.and
        i64.extend_i32_u
        i64.rotl
        i64.and
        i64.store
        local.get $3
        local.get $1
        i32.const 12
        i32.shr_u
        i32.const 4095
        i32.and
        local.tee $1
        i32.const 6
        i32.shr_u
        i32.const 3
        i32.shl
        i32.add
        local.tee $3
        local.get $3
        i64.load
        i64.const -2
        local.get $1
        i32.const 63
        i32.and
        i64.extend_i32_u
        i64.rotl
        i64.and
        i64.store
        br $__inlined_func$digest/removeHolders$2
       end
       global.get $digest/masksAt
       global.get $columns/words
       local.get $1
       i32.const 1073741823
       i32.and
       i32.mul
       i32.const 3
       i32.shl
       i32.add
       local.set $9
       i32.const 0
       local.set $1
       loop $for-loop|11
        local.get $1
        global.get $columns/words
        i32.const 3
        i32.shl
        i32.lt_u
        if
         local.get $1
         local.get $3
         i32.add
         local.tee $10
         local.get $10
         v128.load
         local.get $1
         local.get $9
         i32.add
         v128.load
         v128.andnot
         v128.store
         local.get $1
         i32.const 16
         i32.add
         local.set $1
         br $for-loop|11
        end
       end
      end
     end
     v128.const i32x4 0x00000000 0x00000000 0x00000000 0x00000000
     local.set $4
     i32.const 0
     local.set $1
     loop $for-loop|2
      local.get $1
      local.get $7
      i32.lt_u
      if
       global.get $columns/active
       local.get $1
       i32.add
       v128.load
       global.get $columns/lost
       local.get $1
       i32.add
       v128.load
       local.tee $6
       v128.xor
       local.set $8
       local.get $1
       i32.const 3
       i32.shl
       local.set $3
       local.get $6
       i64x2.extract_lane 0
       local.set $2
       loop $for-loop|3
        local.get $2
        i64.const 0
        i64.ne
        if
         global.get $columns/matched
         local.get $3
         local.get $2
         i64.ctz
         i32.wrap_i64
         i32.add
         i32.const 2
         i32.shl
         i32.add
         local.get $5
         i32.store
         local.get $2
         local.get $2
         i64.const 1
         i64.sub
         i64.and
         local.set $2
         br $for-loop|3
        end
       end
       local.get $3
       i32.const -64
       i32.sub
       local.set $3
       local.get $6
       i64x2.extract_lane 1
       local.set $2
       loop $for-loop|4
        local.get $2
        i64.const 0
        i64.ne
        if
         global.get $columns/matched
         local.get $3
         local.get $2
         i64.ctz
         i32.wrap_i64
         i32.add
         i32.const 2
         i32.shl
         i32.add
         local.get $5
         i32.store
         local.get $2
         local.get $2
         i64.const 1
         i64.sub
         i64.and
         local.set $2
         br $for-loop|4
        end
       end
       global.get $columns/active
       local.get $1
       i32.add
       local.get $8
       v128.store
       local.get $4
       local.get $8
       v128.or
       local.set $4
       local.get $1
       i32.const 16
       i32.add
       local.set $1
       br $for-loop|2
      end
     end
     local.get $4
     v128.any_true
     i32.eqz
     if
      return
     end
    end
    local.get $5
    i32.const 1
    i32.add
    local.set $5
    br $for-loop|0
   end
  end
  i32.const 0
  local.set $1
  loop $for-loop|5
   local.get $1
   local.get $7
   i32.lt_u
   if
    local.get $1
    i32.const 3
    i32.shl
    local.set $0
    global.get $columns/active
    local.get $1
    i32.add
    v128.load
    local.tee $4
    i64x2.extract_lane 0
    local.set $2
    loop $for-loop|6
     local.get $2
     i64.const 0
     i64.ne
     if
      global.get $columns/matched
      local.get $0
      local.get $2
      i64.ctz
      i32.wrap_i64
      i32.add
      i32.const 2
      i32.shl
      i32.add
      local.get $5
      i32.store
      local.get $2
      local.get $2
      i64.const 1
      i64.sub
      i64.and
      local.set $2
      br $for-loop|6
     end
    end
    local.get $0
    i32.const -64
    i32.sub
    local.set $0
    local.get $4
    i64x2.extract_lane 1
    local.set $2
    loop $for-loop|7
     local.get $2
     i64.const 0
     i64.ne
     if
      global.get $columns/matched
      local.get $0
      local.get $2
      i64.ctz
      i32.wrap_i64
      i32.add
      i32.const 2
      i32.shl
      i32.add
      local.get $5
      i32.store
      local.get $2
      local.get $2
      i64.const 1
      i64.sub
      i64.and
      local.set $2
      br $for-loop|7
     end
    end
    local.get $1
    i32.const 16
    i32.add
    local.set $1
    br $for-loop|5
   end
  end
 )
 (func $match/matchAny (param $0 i32)
  (local $1 i64)
  (local $2 i32)
  (local $3 v128)
  (local $4 i32)
  (local $5 i32)
  (local $6 v128)
  (local $7 i32)
  (local $8 i32)
  (local $9 i32)
  (local $10 v128)
  global.get $columns/words
  i32.const 3
  i32.shl
  local.set $5
  loop $for-loop|0
   local.get $0
   local.get $4
   i32.gt_u
   if
    global.get $prefix/bucketsAt
    global.get $prefix/bucketBytes
    global.get $prefix/buckets
    global.get $columns/chain
    local.get $4
    i32.const 3
    i32.shl
    i32.add
    i64.load
    local.tee $1
    i64.const 16777215
    i64.and
    i64.mul
    i64.const 24
    i64.shr_u
    i32.wrap_i64
    i32.mul
    i32.add
    local.tee $2
    v128.load
    local.get $1
    i64x2.splat
    local.tee $3
    i64x2.eq
    i64x2.bitmask
    local.get $2
    v128.load offset=16
    local.get $3
    i64x2.eq
    i64x2.bitmask
    i32.const 2
    i32.shl
    i32.or
    local.get $2
    v128.load offset=32
    local.get $3
    i64x2.eq
    i64x2.bitmask
    i32.const 4
    i32.shl
    i32.or
    local.get $2
    v128.load offset=48
    local.get $3
    i64x2.eq
    i64x2.bitmask
    i32.const 6
    i32.shl
    i32.or
    local.tee $7
    if
     local.get $2
     i32.const 192
     i32.add
     local.get $7
     i32.ctz
     local.get $5
     i32.mul
     i32.add
     local.set $7
     v128.const i32x4 0x00000000 0x00000000 0x00000000 0x00000000
     local.set $3
     i32.const 0
     local.set $2
     loop $for-loop|1
      local.get $2
      local.get $5
      i32.lt_u
      if
       local.get $3
       global.get $columns/active
       local.get $2
       i32.add
       local.tee $8
       v128.load
       local.get $2
       local.get $7
       i32.add
       local.tee $9
       v128.load
       v128.andnot
       local.get $8
       v128.load offset=16
       local.get $9
       v128.load offset=16
       v128.andnot
       v128.or
       v128.or
       local.set $3
       local.get $2
       i32.const 32
       i32.add
       local.set $2
       br $for-loop|1
      end
     end
     local.get $3
     v128.any_true
     if (result i32)
      v128.const i32x4 0x00000000 0x00000000 0x00000000 0x00000000
      local.set $3
      i32.const 0
      local.set $2
      loop $for-loop|00
       local.get $2
       local.get $5
       i32.lt_u
       if
        global.get $columns/active
        local.get $2
        i32.add
        v128.load
        local.tee $10
        local.get $2
        local.get $7
        i32.add
        v128.load
        v128.and
        local.set $6
        local.get $2
        i32.const 3
        i32.shl
        local.set $8
        local.get $10
        local.get $6
        v128.xor
        local.tee $10
        i64x2.extract_lane 0
        local.set $1
        loop $for-loop|11
         local.get $1
         i64.const 0
         i64.ne
         if
          global.get $columns/matched
          local.get $8
          local.get $1
          i64.ctz
          i32.wrap_i64
          i32.add
          i32.const 2
          i32.shl
          i32.add
          local.get $4
          i32.store
          local.get $1
          local.get $1
          i64.const 1
          i64.sub
          i64.and
          local.set $1
          br $for-loop|11
         end
        end
        local.get $8
        i32.const -64
        i32.sub
        local.set $8
        local.get $10
        i64x2.extract_lane 1
        local.set $1
        loop $for-loop|2
         local.get $1
         i64.const 0
         i64.ne
         if
          global.get $columns/matched
          local.get $8
          local.get $1
          i64.ctz
          i32.wrap_i64
          i32.add
          i32.const 2
          i32.shl
          i32.add
          local.get $4
          i32.store
          local.get $1
          local.get $1
          i64.const 1
          i64.sub
          i64.and
          local.set $1
          br $for-loop|2
         end
        end
        global.get $columns/active
        local.get $2
        i32.add
        local.get $6
        v128.store
        local.get $3
        local.get $6
        v128.or
        local.set $3
        local.get $2
        i32.const 16
        i32.add
        local.set $2
        br $for-loop|00
       end
      end
      local.get $3
      v128.any_true
     else
      i32.const 1
     end
     i32.eqz
     if
      return
     end
     local.get $4
     i32.const 1
     i32.add
     local.set $4
     br $for-loop|0
    end
   end
  end
  i32.const 0
  local.set $0
  loop $for-loop|22
   local.get $0
   local.get $5
   i32.lt_u
   if
    local.get $0
    i32.const 3
    i32.shl
    local.set $2
    global.get $columns/active
    local.get $0
    i32.add
    v128.load
    local.tee $3
    i64x2.extract_lane 0
    local.set $1
    loop $for-loop|3
     local.get $1
     i64.const 0
     i64.ne
     if
      global.get $columns/matched
      local.get $2
      local.get $1
      i64.ctz
      i32.wrap_i64
      i32.add
      i32.const 2
      i32.shl
      i32.add
      local.get $4
      i32.store
      local.get $1
      local.get $1
      i64.const 1
      i64.sub
      i64.and
      local.set $1
      br $for-loop|3
     end
    end
    local.get $2
    i32.const -64
    i32.sub
    local.set $2
    local.get $3
    i64x2.extract_lane 1
    local.set $1
    loop $for-loop|4
     local.get $1
     i64.const 0
     i64.ne
     if
      global.get $columns/matched
      local.get $2
      local.get $1
      i64.ctz
      i32.wrap_i64
      i32.add
      i32.const 2
      i32.shl
      i32.add
      local.get $4
      i32.store
      local.get $1
      local.get $1
      i64.const 1
      i64.sub
      i64.and
      local.set $1
      br $for-loop|4
     end
    end
    local.get $0
    i32.const 16
    i32.add
    local.set $0
    br $for-loop|22
   end
  end
 )
 (func $match/match256 (param $0 i32)
  (local $1 i64)
  (local $2 i32)
  (local $3 v128)
  (local $4 v128)
  (local $5 i32)
  (local $6 v128)
  (local $7 i32)
  (local $8 v128)
  global.get $columns/active
  v128.load
  local.set $3
  global.get $columns/active
  v128.load offset=16
  local.set $4
  loop $for-loop|0
   local.get $0
   local.get $2
   i32.gt_u
   if
    global.get $prefix/bucketsAt
    global.get $prefix/bucketBytes
    global.get $prefix/buckets
    global.get $columns/chain
    local.get $2
    i32.const 3
    i32.shl
    i32.add
    i64.load
    local.tee $1
    i64.const 16777215
    i64.and
    i64.mul
    i64.const 24
    i64.shr_u
    i32.wrap_i64
    i32.mul
    i32.add
    local.tee $5
    v128.load
    local.get $1
    i64x2.splat
    local.tee $6
    i64x2.eq
    i64x2.bitmask
    local.get $5
    v128.load offset=16
    local.get $6
    i64x2.eq
    i64x2.bitmask
    i32.const 2
    i32.shl
    i32.or
    local.get $5
    v128.load offset=32
    local.get $6
    i64x2.eq
    i64x2.bitmask
    i32.const 4
    i32.shl
    i32.or
    local.get $5
    v128.load offset=48
    local.get $6
    i64x2.eq
    i64x2.bitmask
    i32.const 6
    i32.shl
    i32.or
    local.tee $7
    if
     local.get $3
     local.get $5
     i32.const 192
     i32.add
     local.get $7
     i32.ctz
     i32.const 5
     i32.shl
     i32.add
     local.tee $5
     v128.load
     v128.andnot
     local.tee $6
     local.get $4
     local.get $5
     v128.load offset=16
     v128.andnot
     local.tee $8
     v128.or
     v128.any_true
     if
      local.get $6
      i64x2.extract_lane 0
      local.set $1
      loop $for-loop|1
       local.get $1
       i64.const 0
       i64.ne
       if
        global.get $columns/matched
        local.get $1
        i64.ctz
        i32.wrap_i64
        i32.const 2
        i32.shl
        i32.add
        local.get $2
        i32.store
        local.get $1
        local.get $1
        i64.const 1
        i64.sub
        i64.and
        local.set $1
        br $for-loop|1
       end
      end
      local.get $6
      i64x2.extract_lane 1
      local.set $1
      loop $for-loop|2
       local.get $1
       i64.const 0
       i64.ne
       if
        global.get $columns/matched
        local.get $1
        i64.ctz
        i32.wrap_i64
        i32.const -64
        i32.sub
        i32.const 2
        i32.shl
        i32.add
        local.get $2
        i32.store
        local.get $1
        local.get $1
        i64.const 1
        i64.sub
        i64.and
        local.set $1
        br $for-loop|2
       end
      end
      local.get $8
      i64x2.extract_lane 0
      local.set $1
      loop $for-loop|3
       local.get $1
       i64.const 0
       i64.ne
       if
        global.get $columns/matched
        local.get $1
        i64.ctz
        i32.wrap_i64
        i32.const 128
        i32.add
        i32.const 2
        i32.shl
        i32.add
        local.get $2
        i32.store
        local.get $1
        local.get $1
        i64.const 1
        i64.sub
        i64.and
        local.set $1
        br $for-loop|3
       end
      end
      local.get $8
      i64x2.extract_lane 1
      local.set $1
      loop $for-loop|4
       local.get $1
       i64.const 0
       i64.ne
       if
        global.get $columns/matched
        local.get $1
        i64.ctz
        i32.wrap_i64
        i32.const 192
        i32.add
        i32.const 2
        i32.shl
        i32.add
        local.get $2
        i32.store
        local.get $1
        local.get $1
        i64.const 1
        i64.sub
        i64.and
        local.set $1
        br $for-loop|4
       end
      end
      local.get $3
      local.get $6
      v128.xor
      local.tee $3
      local.get $4
      local.get $8
      v128.xor
      local.tee $4
      v128.or
      v128.any_true
      i32.eqz
      if
       return
      end
     end
     local.get $2
     i32.const 1
     i32.add
     local.set $2
     br $for-loop|0
    end
   end
  end
  local.get $3
  i64x2.extract_lane 0
  local.set $1
  loop $for-loop|5
   local.get $1
   i64.const 0
   i64.ne
   if
    global.get $columns/matched
    local.get $1
    i64.ctz
    i32.wrap_i64
    i32.const 2
    i32.shl
    i32.add
    local.get $2
    i32.store
    local.get $1
    local.get $1
    i64.const 1
    i64.sub
    i64.and
    local.set $1
    br $for-loop|5
   end
  end
  local.get $3
  i64x2.extract_lane 1
  local.set $1
  loop $for-loop|6
   local.get $1
   i64.const 0
   i64.ne
   if
    global.get $columns/matched
    local.get $1
    i64.ctz
    i32.wrap_i64
    i32.const -64
    i32.sub
    i32.const 2
    i32.shl
    i32.add
    local.get $2
    i32.store
    local.get $1
    local.get $1
    i64.const 1
    i64.sub
    i64.and
    local.set $1
    br $for-loop|6
   end
  end
  local.get $4
  i64x2.extract_lane 0
  local.set $1
  loop $for-loop|7
   local.get $1
   i64.const 0
   i64.ne
   if
    global.get $columns/matched
    local.get $1
    i64.ctz
    i32.wrap_i64
    i32.const 128
    i32.add
    i32.const 2
    i32.shl
    i32.add
    local.get $2
    i32.store
    local.get $1
    local.get $1
    i64.const 1
    i64.sub
    i64.and
    local.set $1
    br $for-loop|7
   end
  end
  local.get $4
  i64x2.extract_lane 1
  local.set $1
  loop $for-loop|8
   local.get $1
   i64.const 0
   i64.ne
   if
    global.get $columns/matched
    local.get $1
    i64.ctz
    i32.wrap_i64
    i32.const 192
    i32.add
    i32.const 2
    i32.shl
    i32.add
    local.get $2
    i32.store
    local.get $1
    local.get $1
    i64.const 1
    i64.sub
    i64.and
    local.set $1
    br $for-loop|8
   end
  end
 )
 (func $learn/setRowChunks (param $0 i32) (param $1 i32)
  (local $2 i32)
  (local $3 i32)
  (local $4 i32)
  global.get $recency/rowsAt
  local.get $0
  i32.const 5
  i32.shl
  i32.add
  local.tee $4
  i32.load offset=4
  local.get $4
  local.get $1
  i32.store offset=4
  local.get $1
  i32.eqz
  if
   local.get $4
   i32.load offset=12
   local.tee $1
   if (result i32)
    global.get $recency/usesAt
    local.get $1
    i32.const 1
    i32.sub
    i32.const 20
    i32.mul
    i32.add
    i32.load offset=16
   else
    i32.const -1
   end
   local.set $1
   loop $for-loop|0
    local.get $1
    i32.const 0
    i32.ge_s
    if
     global.get $prefix/bucketsAt
     global.get $prefix/bucketBytes
     local.get $1
     i32.const 3
     i32.shr_u
     i32.mul
     i32.add
     i32.const 128
     i32.add
     local.get $1
     i32.const 7
     i32.and
     i32.const 2
     i32.shl
     i32.add
     local.get $0
     call $recency/removeUse
     global.get $recency/rowsAt
     local.get $0
     i32.const 5
     i32.shl
     i32.add
     i32.load offset=12
     local.tee $1
     if (result i32)
      global.get $recency/usesAt
      local.get $1
      i32.const 1
      i32.sub
      i32.const 20
      i32.mul
      i32.add
      i32.load offset=16
     else
      i32.const -1
     end
     local.set $1
     br $for-loop|0
    end
   end
   return
  end
  i32.eqz
  if
   global.get $prefix/buckets
   i32.wrap_i64
   i32.const 3
   i32.shl
   local.set $3
   loop $for-loop|00
    local.get $2
    local.get $3
    i32.lt_u
    if
     global.get $prefix/bucketsAt
     global.get $prefix/bucketBytes
     local.get $2
     i32.const 3
     i32.shr_u
     i32.mul
     i32.add
     i32.const 192
     i32.add
     global.get $columns/words
     local.get $2
     i32.const 7
     i32.and
     i32.mul
     i32.const 3
     i32.shl
     i32.add
     local.get $0
     i32.const 6
     i32.shr_u
     i32.const 3
     i32.shl
     i32.add
     i64.load
     local.get $0
     i32.const 63
     i32.and
     i64.extend_i32_u
     i64.shr_u
     i64.const 1
     i64.and
     i32.wrap_i64
     if
      call $mirror/reserve
      global.get $prefix/bucketsAt
      global.get $prefix/bucketBytes
      local.get $2
      i32.const 3
      i32.shr_u
      i32.mul
      i32.add
      i32.const 192
      i32.add
      global.get $columns/words
      local.get $2
      i32.const 7
      i32.and
      i32.mul
      i32.const 3
      i32.shl
      i32.add
      local.get $0
      i32.const 6
      i32.shr_u
      i32.const 3
      i32.shl
      i32.add
      i64.load
      local.get $0
      i32.const 63
      i32.and
      i64.extend_i32_u
      i64.shr_u
      i64.const 1
      i64.and
      i32.wrap_i64
      if
       local.get $0
       local.get $2
       call $mirror/enqueue
      end
     end
     local.get $2
     i32.const 1
     i32.add
     local.set $2
     br $for-loop|00
    end
   end
  end
  local.get $0
  local.get $1
  call $mirror/shrink
 )
 (func $learn/learnOne (param $0 i64) (param $1 i32) (param $2 i32) (param $3 f64)
  (local $4 i32)
  (local $5 i32)
  (local $6 v128)
  (local $7 i32)
  (local $8 i64)
  (local $9 i32)
  (local $10 i32)
  (local $11 i32)
  (local $12 i32)
  global.get $prefix/bucketsAt
  global.get $prefix/buckets
  local.get $0
  i64.const 16777215
  i64.and
  i64.mul
  i64.const 24
  i64.shr_u
  i32.wrap_i64
  local.tee $4
  global.get $prefix/bucketBytes
  i32.mul
  i32.add
  local.tee $9
  v128.load
  local.get $0
  i64x2.splat
  local.tee $6
  i64x2.eq
  i64x2.bitmask
  local.get $9
  v128.load offset=16
  local.get $6
  i64x2.eq
  i64x2.bitmask
  i32.const 2
  i32.shl
  i32.or
  local.get $9
  v128.load offset=32
  local.get $6
  i64x2.eq
  i64x2.bitmask
  i32.const 4
  i32.shl
  i32.or
  local.get $9
  v128.load offset=48
  local.get $6
  i64x2.eq
  i64x2.bitmask
  i32.const 6
  i32.shl
  i32.or
  local.tee $9
  i32.ctz
  local.get $4
  i32.const 3
  i32.shl
  i32.add
  i32.const -1
  local.get $9
  select
  local.tee $4
  i32.const 0
  i32.ge_s
  if (result i32)
   global.get $prefix/bucketsAt
   global.get $prefix/bucketBytes
   local.get $4
   i32.const 3
   i32.shr_u
   i32.mul
   i32.add
   i32.const 192
   i32.add
   global.get $columns/words
   local.get $4
   i32.const 7
   i32.and
   i32.mul
   i32.const 3
   i32.shl
   i32.add
   local.get $1
   i32.const 6
   i32.shr_u
   i32.const 3
   i32.shl
   i32.add
   i64.load
   local.get $1
   i32.const 63
   i32.and
   i64.extend_i32_u
   i64.shr_u
   i64.const 1
   i64.and
   i32.wrap_i64
  else
   i32.const 0
  end
  if
   global.get $prefix/bucketsAt
   global.get $prefix/bucketBytes
   local.get $4
   i32.const 3
   i32.shr_u
   i32.mul
   i32.add
   local.tee $5
   local.get $4
   i32.const 7
   i32.and
   local.tee $4
   i32.const 3
   i32.shl
   i32.add
   local.get $3
   f64.store offset=64
   local.get $2
   if
    block $__inlined_func$recency/renewUse$145
     local.get $1
     local.set $2
     local.get $5
     i32.const 128
     i32.add
     local.get $4
     i32.const 2
     i32.shl
     i32.add
     i32.load
     local.set $1
     loop $while-continue|0
      local.get $1
      if (result i32)
       global.get $recency/usesAt
       local.get $1
       i32.const 1
       i32.sub
       i32.const 20
       i32.mul
       i32.add
       i32.load offset=12
       local.get $2
       i32.ne
      else
       i32.const 0
      end
      if
       global.get $recency/usesAt
       local.get $1
       i32.const 1
       i32.sub
       i32.const 20
       i32.mul
       i32.add
       i32.load offset=8
       local.set $1
       br $while-continue|0
      end
     end
     local.get $1
     if (result i32)
      local.get $1
      global.get $recency/rowsAt
      local.get $2
      i32.const 5
      i32.shl
      i32.add
      i32.load offset=16
      i32.eq
     else
      i32.const 1
     end
     br_if $__inlined_func$recency/renewUse$145
     global.get $recency/rowsAt
     local.get $2
     i32.const 5
     i32.shl
     i32.add
     local.set $4
     global.get $recency/usesAt
     local.get $1
     i32.const 1
     i32.sub
     i32.const 20
     i32.mul
     i32.add
     local.tee $5
     i32.load offset=4
     local.set $7
     local.get $5
     i32.load
     local.tee $5
     if
      global.get $recency/usesAt
      local.get $5
      i32.const 1
      i32.sub
      i32.const 20
      i32.mul
      i32.add
      local.get $7
      i32.store offset=4
     else
      local.get $4
      local.get $7
      i32.store offset=12
     end
     local.get $7
     if
      global.get $recency/usesAt
      local.get $7
      i32.const 1
      i32.sub
      i32.const 20
      i32.mul
      i32.add
      local.get $5
      i32.store
     else
      local.get $4
      local.get $5
      i32.store offset=16
     end
     global.get $recency/usesAt
     local.get $1
     i32.const 1
     i32.sub
     i32.const 20
     i32.mul
     i32.add
     local.tee $4
     global.get $recency/rowsAt
     local.get $2
     i32.const 5
     i32.shl
     i32.add
     local.tee $2
     i32.load offset=16
     local.tee $5
     i32.store
     local.get $4
     i32.const 0
     i32.store offset=4
     local.get $5
     if
      global.get $recency/usesAt
      local.get $5
      i32.const 1
      i32.sub
      i32.const 20
      i32.mul
      i32.add
      local.get $1
      i32.store offset=4
     else
      local.get $2
      local.get $1
      i32.store offset=12
     end
     local.get $2
     local.get $1
     i32.store offset=16
    end
   end
   return
  end
  local.get $2
  if
   local.get $1
   global.get $recency/rowsAt
   local.get $1
   i32.const 5
   i32.shl
   i32.add
   i32.load offset=4
   i32.const 1
   i32.sub
   call $mirror/shrink
   call $mirror/reserve
   global.get $prefix/bucketsAt
   global.get $prefix/buckets
   local.get $0
   i64.const 16777215
   i64.and
   i64.mul
   i64.const 24
   i64.shr_u
   i32.wrap_i64
   local.tee $4
   global.get $prefix/bucketBytes
   i32.mul
   i32.add
   local.tee $9
   v128.load
   local.get $0
   i64x2.splat
   local.tee $6
   i64x2.eq
   i64x2.bitmask
   local.get $9
   v128.load offset=16
   local.get $6
   i64x2.eq
   i64x2.bitmask
   i32.const 2
   i32.shl
   i32.or
   local.get $9
   v128.load offset=32
   local.get $6
   i64x2.eq
   i64x2.bitmask
   i32.const 4
   i32.shl
   i32.or
   local.get $9
   v128.load offset=48
   local.get $6
   i64x2.eq
   i64x2.bitmask
   i32.const 6
   i32.shl
   i32.or
   local.tee $9
   i32.ctz
   local.get $4
   i32.const 3
   i32.shl
   i32.add
   i32.const -1
   local.get $9
   select
   local.set $4
  end
  local.get $4
  i32.const 0
  i32.lt_s
  if
   global.get $prefix/bucketsAt
   global.get $prefix/buckets
   local.get $0
   i64.const 16777215
   i64.and
   i64.mul
   i64.const 24
   i64.shr_u
   i32.wrap_i64
   local.tee $10
   global.get $prefix/bucketBytes
   i32.mul
   i32.add
   local.tee $9
   v128.load
   v128.const i32x4 0x00000000 0x00000000 0x00000000 0x00000000
   i64x2.eq
   i64x2.bitmask
   local.get $9
   v128.load offset=16
   v128.const i32x4 0x00000000 0x00000000 0x00000000 0x00000000
   i64x2.eq
   i64x2.bitmask
   i32.const 2
   i32.shl
   i32.or
   local.get $9
   v128.load offset=32
   v128.const i32x4 0x00000000 0x00000000 0x00000000 0x00000000
   i64x2.eq
   i64x2.bitmask
   i32.const 4
   i32.shl
   i32.or
   local.get $9
   v128.load offset=48
   v128.const i32x4 0x00000000 0x00000000 0x00000000 0x00000000
   i64x2.eq
   i64x2.bitmask
   i32.const 6
   i32.shl
   i32.or
   local.tee $4
   if
    local.get $4
    i32.ctz
    local.set $5
   else
    i32.const 1
    local.set $4
    loop $for-loop|0
     local.get $4
     i32.const 8
     i32.lt_s
     if
      local.get $4
      local.get $5
      local.get $9
      local.get $4
      i32.const 3
      i32.shl
      i32.add
      f64.load offset=64
      local.get $9
      local.get $5
      i32.const 3
      i32.shl
      i32.add
      f64.load offset=64
      f64.lt
      select
      local.set $5
      local.get $4
      i32.const 1
      i32.add
      local.set $4
      br $for-loop|0
     end
    end
    global.get $prefix/bucketsAt
    global.get $prefix/bucketBytes
    local.get $10
    i32.const 3
    i32.shl
    local.get $5
    i32.add
    local.tee $4
    i32.const 3
    i32.shr_u
    i32.mul
    i32.add
    i32.const 192
    i32.add
    global.get $columns/words
    local.get $4
    i32.const 7
    i32.and
    i32.mul
    i32.const 3
    i32.shl
    i32.add
    local.set $11
    loop $for-loop|00
     local.get $7
     global.get $columns/words
     i32.lt_u
     if
      global.get $prefix/heldPairs
      local.get $11
      local.get $7
      i32.const 3
      i32.shl
      i32.add
      i64.load
      local.tee $8
      i64.popcnt
      i32.wrap_i64
      i32.sub
      global.set $prefix/heldPairs
      loop $for-loop|1
       local.get $8
       i64.const 0
       i64.ne
       if
        global.get $columns/fed
        local.get $8
        i64.ctz
        i32.wrap_i64
        local.get $7
        i32.const 6
        i32.shl
        i32.add
        local.tee $12
        i32.const 6
        i32.shr_u
        i32.const 3
        i32.shl
        i32.add
        i64.load
        local.get $12
        i32.const 63
        i32.and
        i64.extend_i32_u
        i64.shr_u
        i64.const 1
        i64.and
        i32.wrap_i64
        if
         local.get $4
         local.get $12
         i32.const 0
         call $prefix/noteChange
        end
        global.get $recency/rowsAt
        local.get $12
        i32.const 5
        i32.shl
        i32.add
        i32.load offset=4
        if
         global.get $prefix/bucketsAt
         global.get $prefix/bucketBytes
         local.get $4
         i32.const 3
         i32.shr_u
         i32.mul
         i32.add
         i32.const 128
         i32.add
         local.get $4
         i32.const 7
         i32.and
         i32.const 2
         i32.shl
         i32.add
         local.get $12
         call $recency/removeUse
        end
        global.get $recency/rowsAt
        local.get $12
        i32.const 5
        i32.shl
        i32.add
        local.tee $12
        local.get $12
        i32.load
        i32.const 1
        i32.sub
        i32.store
        local.get $8
        local.get $8
        i64.const 1
        i64.sub
        i64.and
        local.set $8
        br $for-loop|1
       end
      end
      local.get $7
      i32.const 1
      i32.add
      local.set $7
      br $for-loop|00
     end
    end
    local.get $11
    i32.const 0
    global.get $columns/words
    i32.const 3
    i32.shl
    memory.fill
    global.get $prefix/bucketsAt
    global.get $prefix/bucketBytes
    local.get $4
    i32.const 3
    i32.shr_u
    i32.mul
    i32.add
    local.get $4
    i32.const 7
    i32.and
    i32.const 3
    i32.shl
    i32.add
    i64.const 0
    i64.store
    global.get $prefix/entries
    i32.const 1
    i32.sub
    global.set $prefix/entries
    global.get $prefix/evicted
    f64.const 1
    f64.add
    global.set $prefix/evicted
   end
   local.get $9
   local.get $5
   i32.const 3
   i32.shl
   i32.add
   local.get $0
   i64.store
   global.get $prefix/entries
   i32.const 1
   i32.add
   global.set $prefix/entries
   local.get $10
   i32.const 3
   i32.shl
   local.get $5
   i32.add
   local.set $4
  end
  global.get $prefix/bucketsAt
  global.get $prefix/bucketBytes
  local.get $4
  i32.const 3
  i32.shr_u
  i32.mul
  i32.add
  local.tee $5
  local.get $4
  i32.const 7
  i32.and
  local.tee $7
  i32.const 3
  i32.shl
  i32.add
  local.get $3
  f64.store offset=64
  local.get $1
  i32.const 6
  i32.shr_u
  i32.const 3
  i32.shl
  local.tee $9
  local.get $5
  i32.const 192
  i32.add
  global.get $columns/words
  local.get $7
  i32.mul
  i32.const 3
  i32.shl
  i32.add
  i32.add
  local.tee $5
  local.get $5
  i64.load
  i64.const 1
  local.get $1
  i32.const 63
  i32.and
  i64.extend_i32_u
  local.tee $0
  i64.shl
  i64.or
  i64.store
  global.get $recency/rowsAt
  local.get $1
  i32.const 5
  i32.shl
  i32.add
  local.tee $5
  local.get $5
  i32.load
  i32.const 1
  i32.add
  i32.store
  global.get $prefix/heldPairs
  i32.const 1
  i32.add
  global.set $prefix/heldPairs
  global.get $columns/fed
  local.get $9
  i32.add
  i64.load
  local.get $0
  i64.shr_u
  i64.const 1
  i64.and
  i32.wrap_i64
  if
   local.get $4
   local.get $1
   i32.const 1
   call $prefix/noteChange
  end
  local.get $2
  if
   local.get $1
   local.get $4
   call $mirror/enqueue
  end
 )
 (func $learn/learn (param $0 i32) (param $1 i32)
  (local $2 i32)
  (local $3 i32)
  local.get $0
  global.get $columns/chunkLimit
  local.tee $2
  local.get $0
  local.get $2
  i32.lt_u
  select
  local.set $0
  global.get $recency/rowsAt
  local.get $1
  i32.const 5
  i32.shl
  i32.add
  i32.load offset=4
  local.tee $3
  if
   local.get $0
   local.get $3
   local.get $0
   local.get $3
   i32.lt_u
   select
   local.set $0
  end
  global.get $learn/clock
  local.get $0
  f64.convert_i32_u
  f64.add
  global.set $learn/clock
  loop $for-loop|0
   local.get $0
   local.tee $2
   i32.const 1
   i32.sub
   local.set $0
   local.get $2
   if
    global.get $columns/chain
    local.get $0
    i32.const 3
    i32.shl
    i32.add
    i64.load
    local.get $1
    local.get $3
    global.get $learn/clock
    local.get $0
    f64.convert_i32_u
    f64.sub
    call $learn/learnOne
    br $for-loop|0
   end
  end
 )
 (func $learn/forget (param $0 i32) (param $1 i32) (param $2 i32)
  (local $3 v128)
  (local $4 i64)
  (local $5 i32)
  (local $6 i32)
  loop $for-loop|0
   local.get $0
   local.get $2
   i32.gt_u
   if
    global.get $prefix/bucketsAt
    global.get $prefix/buckets
    global.get $columns/chain
    local.get $2
    i32.const 3
    i32.shl
    i32.add
    i64.load
    local.tee $4
    i64.const 16777215
    i64.and
    i64.mul
    i64.const 24
    i64.shr_u
    i32.wrap_i64
    local.tee $5
    global.get $prefix/bucketBytes
    i32.mul
    i32.add
    local.tee $6
    v128.load
    local.get $4
    i64x2.splat
    local.tee $3
    i64x2.eq
    i64x2.bitmask
    local.get $6
    v128.load offset=16
    local.get $3
    i64x2.eq
    i64x2.bitmask
    i32.const 2
    i32.shl
    i32.or
    local.get $6
    v128.load offset=32
    local.get $3
    i64x2.eq
    i64x2.bitmask
    i32.const 4
    i32.shl
    i32.or
    local.get $6
    v128.load offset=48
    local.get $3
    i64x2.eq
    i64x2.bitmask
    i32.const 6
    i32.shl
    i32.or
    local.tee $6
    i32.ctz
    local.get $5
    i32.const 3
    i32.shl
    i32.add
    i32.const -1
    local.get $6
    select
    local.tee $5
    i32.const 0
    i32.ge_s
    if (result i32)
     global.get $prefix/bucketsAt
     global.get $prefix/bucketBytes
     local.get $5
     i32.const 3
     i32.shr_u
     i32.mul
     i32.add
     i32.const 192
     i32.add
     global.get $columns/words
     local.get $5
     i32.const 7
     i32.and
     i32.mul
     i32.const 3
     i32.shl
     i32.add
     local.get $1
     i32.const 6
     i32.shr_u
     i32.const 3
     i32.shl
     i32.add
     i64.load
     local.get $1
     i32.const 63
     i32.and
     i64.extend_i32_u
     i64.shr_u
     i64.const 1
     i64.and
     i32.wrap_i64
    else
     i32.const 0
    end
    if
     local.get $5
     local.get $1
     call $prefix/release
    end
    local.get $2
    i32.const 1
    i32.add
    local.set $2
    br $for-loop|0
   end
  end
 )
 (func $learn/clearRow (param $0 i32)
  (local $1 i32)
  (local $2 i32)
  local.get $0
  call $feed/stopFeed
  local.get $0
  call $digest/clearDigest
  global.get $recency/rowsAt
  local.get $0
  i32.const 5
  i32.shl
  i32.add
  i32.load offset=4
  if
   loop $while-continue|0
    local.get $0
    call $mirror/dropOldest
    br_if $while-continue|0
   end
   global.get $recency/rowsAt
   local.get $0
   i32.const 5
   i32.shl
   i32.add
   i32.const 0
   i32.store offset=4
   return
  end
  global.get $prefix/buckets
  i32.wrap_i64
  i32.const 3
  i32.shl
  local.set $2
  loop $for-loop|0
   local.get $1
   local.get $2
   i32.lt_u
   if
    global.get $prefix/bucketsAt
    global.get $prefix/bucketBytes
    local.get $1
    i32.const 3
    i32.shr_u
    i32.mul
    i32.add
    i32.const 192
    i32.add
    global.get $columns/words
    local.get $1
    i32.const 7
    i32.and
    i32.mul
    i32.const 3
    i32.shl
    i32.add
    local.get $0
    i32.const 6
    i32.shr_u
    i32.const 3
    i32.shl
    i32.add
    i64.load
    local.get $0
    i32.const 63
    i32.and
    i64.extend_i32_u
    i64.shr_u
    i64.const 1
    i64.and
    i32.wrap_i64
    if
     local.get $1
     local.get $0
     call $prefix/release
    end
    local.get $1
    i32.const 1
    i32.add
    local.set $1
    br $for-loop|0
   end
  end
 )
 (func $index/windowBytes (result i32)
  i32.const 65536
 )
 (func $index/stat (param $0 i32) (result f64)
  local.get $0
  i32.const 5
  i32.lt_s
  if (result f64)
   block $__inlined_func$prefix/indexStat$53 (result f64)
    block $case5|0
     block $case4|0
      block $case3|0
       block $case2|0
        block $case1|0
         block $case0|0
          local.get $0
          br_table $case0|0 $case1|0 $case2|0 $case3|0 $case4|0 $case5|0
         end
         global.get $prefix/entries
         f64.convert_i32_u
         br $__inlined_func$prefix/indexStat$53
        end
        global.get $prefix/buckets
        i64.const 3
        i64.shl
        f64.convert_i64_u
        br $__inlined_func$prefix/indexStat$53
       end
       global.get $prefix/buckets
       global.get $prefix/bucketBytes
       i64.extend_i32_u
       i64.const 480
       i64.add
       i64.mul
       global.get $columns/rows
       i64.extend_i32_u
       i64.const 5
       i64.shl
       i64.add
       f64.convert_i64_u
       br $__inlined_func$prefix/indexStat$53
      end
      global.get $prefix/evicted
      br $__inlined_func$prefix/indexStat$53
     end
     global.get $prefix/heldPairs
     f64.convert_i32_u
     br $__inlined_func$prefix/indexStat$53
    end
    f64.const 0
   end
  else
   block $__inlined_func$digest/digestStat$54 (result f64)
    block $case5|01
     block $case4|02
      block $case3|03
       block $case2|04
        block $case1|05
         block $case0|06
          local.get $0
          i32.const 5
          i32.sub
          br_table $case0|06 $case1|05 $case2|04 $case3|03 $case4|02 $case5|01
         end
         global.get $digest/entries
         f64.convert_i32_u
         br $__inlined_func$digest/digestStat$54
        end
        global.get $digest/entriesMax
        f64.convert_i32_u
        br $__inlined_func$digest/digestStat$54
       end
       global.get $digest/pairs
       f64.convert_i32_u
       br $__inlined_func$digest/digestStat$54
      end
      global.get $digest/refused
      br $__inlined_func$digest/digestStat$54
     end
     global.get $digest/bytesUsed
     f64.convert_i64_u
     br $__inlined_func$digest/digestStat$54
    end
    f64.const 0
   end
  end
 )
 (func $index/matchedChunks (param $0 i32) (param $1 i32) (result i32)
  local.get $0
  local.get $1
  call $match/matchedChunks
 )
 (func $index/init (param $0 i32) (param $1 i32) (param $2 i32) (param $3 f64) (param $4 f64) (result i32)
  (local $5 i64)
  (local $6 i64)
  (local $7 i64)
  (local $8 i64)
  (local $9 i64)
  (local $10 i64)
  (local $11 i64)
  local.get $0
  local.get $1
  local.get $2
  call $columns/layout
  global.get $columns/words
  i32.const 6
  i32.shl
  i32.const 192
  i32.add
  global.set $prefix/bucketBytes
  global.get $prefix/bucketBytes
  i64.extend_i32_u
  i64.const 480
  i64.add
  local.set $5
  local.get $3
  i64.trunc_sat_f64_u
  local.tee $6
  global.get $columns/rows
  i64.extend_i32_u
  i64.const 5
  i64.shl
  local.tee $7
  i64.lt_u
  if (result i64)
   i64.const 0
  else
   i64.const 2097152
   local.get $6
   local.get $7
   i64.sub
   local.get $5
   i64.div_u
   local.tee $5
   local.get $5
   i64.const 2097152
   i64.ge_u
   select
  end
  global.set $prefix/buckets
  global.get $prefix/buckets
  i64.const 16
  i64.lt_u
  if (result i32)
   i32.const 0
  else
   global.get $columns/top
   global.get $columns/top
   global.get $prefix/buckets
   i32.wrap_i64
   local.tee $1
   global.get $prefix/bucketBytes
   i32.mul
   i32.const 63
   i32.add
   i32.const -64
   i32.and
   i32.add
   global.set $columns/top
   global.set $prefix/bucketsAt
   local.get $1
   i32.const 24
   i32.mul
   local.tee $0
   global.set $recency/most
   global.get $columns/top
   global.get $columns/top
   global.get $columns/rows
   i32.const 5
   i32.shl
   i32.const 63
   i32.add
   i32.const -64
   i32.and
   i32.add
   global.set $columns/top
   global.set $recency/rowsAt
   global.get $columns/top
   global.get $columns/top
   local.get $0
   i32.const 20
   i32.mul
   i32.const 63
   i32.add
   i32.const -64
   i32.and
   i32.add
   global.set $columns/top
   global.set $recency/usesAt
   i32.const 1
  end
  i32.eqz
  if
   i32.const 1
   return
  end
  block $__inlined_func$digest/layoutDigests$1 (result i32)
   i32.const 1
   local.get $4
   i64.trunc_sat_f64_u
   local.tee $5
   i64.eqz
   br_if $__inlined_func$digest/layoutDigests$1
   drop
   local.get $5
   global.get $columns/rows
   i64.extend_i32_u
   i64.const 5
   i64.shl
   local.tee $8
   i64.sub
   i64.const 0
   local.get $5
   local.get $8
   i64.ge_u
   select
   local.tee $5
   i64.const 12
   i64.shr_u
   local.set $9
   i64.const 16777216
   local.get $5
   local.get $9
   i64.const 8
   i64.shl
   local.tee $7
   i64.sub
   local.get $5
   i64.const 5
   i64.mul
   i64.const 4
   i64.shr_u
   global.get $columns/words
   i64.extend_i32_u
   i64.const 3
   i64.shl
   local.tee $10
   i64.div_u
   local.tee $5
   local.get $10
   i64.mul
   i64.sub
   i64.const 3
   i64.shr_u
   local.tee $6
   local.get $6
   i64.const 16777216
   i64.ge_u
   select
   local.set $6
   i32.const 0
   local.get $5
   i64.const 4
   i64.lt_u
   local.get $9
   i64.const 4
   i64.lt_u
   i32.or
   local.get $6
   i64.const 64
   i64.lt_u
   i32.or
   br_if $__inlined_func$digest/layoutDigests$1
   drop
   global.get $columns/top
   global.get $columns/top
   local.get $8
   i32.wrap_i64
   i32.const 63
   i32.add
   i32.const -64
   i32.and
   i32.add
   global.set $columns/top
   global.set $digest/rowsAt
   global.get $columns/top
   global.get $columns/top
   local.get $6
   i64.const 3
   i64.shl
   local.tee $11
   i32.wrap_i64
   i32.const 63
   i32.add
   i32.const -64
   i32.and
   i32.add
   global.set $columns/top
   global.set $digest/slotsAt
   global.get $columns/top
   global.get $columns/top
   local.get $5
   local.get $10
   i64.mul
   local.tee $10
   i32.wrap_i64
   i32.const 63
   i32.add
   i32.const -64
   i32.and
   i32.add
   global.set $columns/top
   global.set $digest/masksAt
   local.get $6
   i32.wrap_i64
   global.set $digest/slots
   local.get $5
   i32.wrap_i64
   global.set $digest/masks
   local.get $6
   i64.const 3
   i64.mul
   i64.const 2
   i64.shr_u
   i32.wrap_i64
   global.set $digest/entriesMax
   global.get $digest/entriesMax
   i32.const 2
   i32.shr_u
   global.set $digest/rowMax
   local.get $8
   local.get $11
   i64.add
   local.get $10
   i64.add
   local.get $7
   i64.add
   global.set $digest/bytesUsed
   global.get $digest/rowsAt
   global.set $feed/rowsAt
   local.get $9
   i32.wrap_i64
   local.tee $0
   global.set $feed/segments
   global.get $columns/top
   global.get $columns/top
   local.get $0
   i32.const 8
   i32.shl
   i32.const 63
   i32.add
   i32.const -64
   i32.and
   i32.add
   global.set $columns/top
   global.set $feed/segmentsAt
   i32.const 1
  end
  i32.eqz
  if
   i32.const 3
   return
  end
  i32.const 0
  i32.const 2
  global.get $columns/top
  i32.const 65535
  i32.add
  i32.const 16
  i32.shr_u
  memory.size
  i32.sub
  local.tee $0
  i32.const 0
  i32.le_s
  if (result i32)
   i32.const 1
  else
   local.get $0
   memory.grow
   i32.const 0
   i32.ge_s
  end
  select
 )
 (func $index/explain (param $0 i32)
  (local $1 f64)
  (local $2 f64)
  (local $3 f64)
  (local $4 f64)
  (local $5 i32)
  (local $6 i32)
  (local $7 f64)
  (local $8 f64)
  (local $9 f64)
  local.get $0
  i32.const 6
  i32.shr_u
  local.set $6
  global.get $columns/askWords
  i32.load
  local.tee $5
  i32.const 256
  i32.ge_u
  if (result i64)
   i64.const 0
  else
   global.get $columns/models
   local.get $5
   global.get $columns/words
   i32.mul
   local.get $6
   i32.add
   i32.const 3
   i32.shl
   i32.add
   i64.load
  end
  local.get $0
  i32.const 63
  i32.and
  i64.extend_i32_u
  i64.shr_u
  i64.const 1
  i64.and
  i64.eqz
  if (result i32)
   i32.const 1
  else
   global.get $columns/codes
   local.get $0
   i32.add
   i32.load8_u
  end
  local.tee $5
  i32.const 1
  i32.eq
  if
   global.get $columns/matched
   local.get $0
   i32.const 2
   i32.shl
   i32.add
   i32.const 0
   i32.store
  end
  global.get $columns/resultWords
  local.get $5
  i32.store offset=12
  local.get $0
  i32.const 3
  i32.shl
  local.tee $5
  global.get $columns/prefillRate
  i32.add
  f64.load
  local.tee $1
  f64.const 1e-06
  local.get $1
  f64.const 1e-06
  f64.gt
  select
  local.set $3
  global.get $columns/matched
  local.get $0
  i32.const 2
  i32.shl
  i32.add
  i32.load
  f64.convert_i32_u
  global.get $columns/askNumbers
  f64.load offset=8
  f64.mul
  local.tee $1
  global.get $columns/askNumbers
  f64.load
  local.tee $4
  local.get $1
  local.get $4
  f64.lt
  select
  global.set $score/matchedTokens
  global.get $columns/trust
  local.get $5
  i32.add
  f64.load
  f64.const 1
  global.get $columns/digestDiscount
  local.get $5
  i32.add
  f64.load
  f64.sub
  f64.mul
  global.get $score/matchedTokens
  f64.mul
  global.set $score/hitTokens
  local.get $4
  global.get $score/hitTokens
  f64.sub
  local.tee $1
  f64.const 1
  local.get $1
  f64.const 1
  f64.gt
  select
  global.set $score/uncached
  global.get $score/uncached
  local.get $3
  f64.div
  global.set $score/prefill
  global.get $columns/askNumbers
  f64.load offset=48
  local.tee $1
  global.get $columns/sampleAtMs
  local.get $5
  i32.add
  f64.load
  local.tee $4
  f64.sub
  local.set $7
  local.get $4
  f64.const -inf
  f64.gt
  if (result f64)
   global.get $columns/queuedTokens
   local.get $5
   i32.add
   f64.load
   global.get $columns/sentTokens
   local.get $5
   i32.add
   f64.load
   f64.add
   local.get $3
   local.get $7
   f64.mul
   f64.const 0
   local.get $7
   f64.const 0
   f64.gt
   select
   f64.sub
   local.set $2
   local.get $7
   global.get $columns/weights
   f64.load offset=64
   f64.gt
   if (result f64)
    global.get $columns/weights
    f64.load offset=56
   else
    f64.const 0
   end
  else
   f64.const 0
  end
  local.set $4
  local.get $0
  i32.const 3
  i32.shl
  local.tee $5
  global.get $columns/ownTokens
  i32.add
  f64.load
  local.tee $7
  local.get $7
  f64.add
  local.get $3
  local.get $1
  global.get $columns/busySinceMs
  local.get $5
  i32.add
  f64.load
  f64.sub
  f64.mul
  global.get $columns/busyTokens
  local.get $5
  i32.add
  f64.load
  f64.sub
  local.tee $1
  f64.const 0
  local.get $1
  f64.const 0
  f64.gt
  select
  local.tee $1
  f64.sub
  local.tee $8
  f64.const 0
  local.get $8
  f64.const 0
  f64.gt
  select
  local.set $8
  local.get $0
  i32.const 3
  i32.shl
  local.tee $0
  global.get $columns/kvUsage
  i32.add
  f64.load
  local.tee $9
  f64.const 0.999
  local.get $9
  f64.const 0.999
  f64.lt
  select
  local.set $9
  local.get $7
  local.get $1
  local.get $8
  local.get $1
  local.get $8
  f64.lt
  select
  f64.sub
  local.tee $1
  local.get $2
  f64.lt
  if
   local.get $2
   local.set $1
  end
  local.get $1
  f64.const 0
  local.get $1
  f64.const 0
  f64.gt
  select
  global.get $columns/waitingTokens
  local.get $0
  i32.add
  f64.load
  f64.add
  local.get $3
  f64.div
  global.get $columns/weights
  f64.load offset=8
  local.get $9
  f64.const 1
  local.get $9
  f64.sub
  f64.div
  f64.mul
  f64.add
  local.get $4
  f64.add
  global.set $score/wait
  global.get $columns/rttMs
  local.get $0
  i32.add
  f64.load
  global.get $columns/jitterMs
  local.get $0
  i32.add
  f64.load
  f64.add
  global.get $score/wait
  f64.add
  global.get $score/prefill
  f64.add
  global.set $score/ttft
  global.get $score/ttft
  global.get $columns/weights
  f64.load
  global.get $score/prefill
  f64.mul
  f64.add
  global.set $score/social
  global.get $score/uncached
  global.get $columns/priceIn
  local.get $0
  i32.add
  f64.load
  f64.mul
  global.get $score/hitTokens
  global.get $columns/priceCached
  local.get $0
  i32.add
  f64.load
  f64.mul
  f64.add
  global.get $columns/askNumbers
  f64.load offset=16
  global.get $columns/priceOut
  local.get $0
  i32.add
  f64.load
  f64.mul
  f64.add
  global.set $score/price
  global.get $columns/resultNumbers
  global.get $score/ttft
  f64.store
  global.get $columns/resultNumbers
  global.get $score/wait
  f64.store offset=8
  global.get $columns/resultNumbers
  global.get $score/prefill
  f64.store offset=16
  global.get $columns/resultNumbers
  global.get $score/social
  f64.store offset=24
  global.get $columns/resultNumbers
  global.get $score/price
  f64.store offset=32
  global.get $columns/resultNumbers
  global.get $score/matchedTokens
  f64.store offset=40
  global.get $columns/resultNumbers
  global.get $score/uncached
  f64.store offset=48
 )
 (func $index/decide
  (local $0 i32)
  (local $1 i32)
  (local $2 i64)
  global.get $columns/resultWords
  i32.const 16
  i32.add
  i32.const 0
  i32.const 52
  memory.fill
  loop $for-loop|0
   local.get $1
   global.get $columns/words
   i32.lt_u
   if
    local.get $0
    global.get $columns/inUse
    local.get $1
    i32.const 6
    i32.shl
    i32.add
    local.tee $0
    v128.load
    v128.const i32x4 0x00000000 0x00000000 0x00000000 0x00000000
    i8x16.ne
    i8x16.bitmask
    i64.extend_i32_s
    local.get $0
    v128.load offset=16
    v128.const i32x4 0x00000000 0x00000000 0x00000000 0x00000000
    i8x16.ne
    i8x16.bitmask
    i64.extend_i32_s
    i64.const 16
    i64.shl
    i64.or
    local.get $0
    v128.load offset=32
    v128.const i32x4 0x00000000 0x00000000 0x00000000 0x00000000
    i8x16.ne
    i8x16.bitmask
    i64.extend_i32_s
    i64.const 32
    i64.shl
    i64.or
    local.get $0
    v128.load offset=48
    v128.const i32x4 0x00000000 0x00000000 0x00000000 0x00000000
    i8x16.ne
    i8x16.bitmask
    i64.extend_i32_s
    i64.const 48
    i64.shl
    i64.or
    local.tee $2
    global.get $columns/askWords
    i32.load
    local.tee $0
    i32.const 256
    i32.ge_u
    if (result i64)
     i64.const 0
    else
     global.get $columns/models
     local.get $0
     global.get $columns/words
     i32.mul
     local.get $1
     i32.add
     i32.const 3
     i32.shl
     i32.add
     i64.load
    end
    local.get $2
    i64.and
    local.tee $2
    i64.xor
    i64.popcnt
    i32.wrap_i64
    i32.add
    local.set $0
    global.get $columns/active
    local.get $1
    i32.const 3
    i32.shl
    i32.add
    local.get $2
    i64.store
    local.get $1
    i32.const 1
    i32.add
    local.set $1
    br $for-loop|0
   end
  end
  global.get $columns/resultWords
  local.get $0
  i32.store offset=20
  call $filter/filter
  global.get $columns/askWords
  i32.load offset=16
  local.set $0
  global.get $columns/words
  i32.const 4
  i32.eq
  i32.const 0
  global.get $digest/pairs
  select
  if
   local.get $0
   call $match/matchBoth256
  else
   global.get $digest/pairs
   if
    local.get $0
    call $match/matchBoth
   else
    global.get $columns/words
    i32.const 4
    i32.eq
    if
     local.get $0
     call $match/match256
    else
     local.get $0
     call $match/matchAny
    end
   end
  end
  call $score/scoreAll
  call $pick/pick
 )
 (func $index/abi (result i32)
  i32.const 3
 )
 (func $hash/hashKey (param $0 i32)
  (local $1 i64)
  (local $2 i32)
  (local $3 i32)
  global.get $columns/textWindow
  local.get $0
  i32.add
  local.tee $3
  local.set $2
  loop $for-loop|0
   local.get $2
   local.get $3
   i32.const 8
   i32.add
   i32.const -8
   i32.and
   i32.lt_u
   if
    local.get $2
    i32.const 0
    i32.store8
    local.get $2
    i32.const 1
    i32.add
    local.set $2
    br $for-loop|0
   end
  end
  local.get $0
  i64.extend_i32_u
  i64.const 7723592293110705685
  i64.sub
  local.set $1
  global.get $columns/textWindow
  local.set $2
  loop $for-loop|1
   local.get $2
   local.get $3
   i32.lt_u
   if
    i64.const 1
    local.get $1
    local.get $2
    i64.load
    i64.const -4658895280553007687
    i64.mul
    i64.xor
    i64.const 27
    i64.rotl
    i64.const -7046029254386353131
    i64.mul
    i64.const 7723592293110705685
    i64.sub
    local.tee $1
    local.get $1
    i64.const 33
    i64.shr_u
    i64.xor
    i64.const -4658895280553007687
    i64.mul
    local.tee $1
    local.get $1
    i64.const 29
    i64.shr_u
    i64.xor
    i64.const -7723592293110705685
    i64.mul
    local.tee $1
    local.get $1
    i64.const 32
    i64.shr_u
    i64.xor
    local.tee $1
    local.get $1
    i64.eqz
    select
    local.set $1
    local.get $2
    i32.const 8
    i32.add
    local.set $2
    br $for-loop|1
   end
  end
  global.get $columns/chain
  i64.const 1
  local.get $1
  local.get $0
  i64.extend_i32_u
  i64.const -4658895280553007687
  i64.mul
  i64.xor
  i64.const 27
  i64.rotl
  i64.const -7046029254386353131
  i64.mul
  i64.const 7723592293110705685
  i64.sub
  local.tee $1
  local.get $1
  i64.const 33
  i64.shr_u
  i64.xor
  i64.const -4658895280553007687
  i64.mul
  local.tee $1
  local.get $1
  i64.const 29
  i64.shr_u
  i64.xor
  i64.const -7723592293110705685
  i64.mul
  local.tee $1
  local.get $1
  i64.const 32
  i64.shr_u
  i64.xor
  local.tee $1
  local.get $1
  i64.eqz
  select
  i64.store
 )
 (func $hash/chunkCount (result i32)
  global.get $hash/count
 )
 (func $hash/begin (param $0 i32) (param $1 i32)
  local.get $0
  i64.extend_i32_u
  local.get $1
  i64.extend_i32_u
  i64.const 32
  i64.shl
  i64.or
  global.set $hash/parent
  i32.const 0
  global.set $hash/count
 )
 (func $hash/absorb (param $0 i32) (result i32)
  (local $1 i32)
  (local $2 i64)
  (local $3 i64)
  (local $4 i64)
  (local $5 i64)
  (local $6 i32)
  (local $7 i32)
  (local $8 i64)
  (local $9 i32)
  global.get $columns/textWindow
  local.get $0
  local.get $0
  global.get $columns/chunkBytes
  i32.const 1
  i32.sub
  i32.and
  local.tee $6
  i32.sub
  i32.add
  local.set $7
  global.get $columns/textWindow
  local.set $1
  loop $for-loop|0
   global.get $hash/count
   global.get $columns/chunkLimit
   i32.lt_u
   local.get $1
   local.get $7
   i32.lt_u
   i32.and
   if
    global.get $hash/parent
    local.set $8
    local.get $1
    global.get $columns/chunkBytes
    i32.add
    local.set $9
    i64.const -7046029254386353131
    local.set $2
    i64.const -4658895280553007687
    local.set $3
    i64.const -7723592293110705685
    local.set $4
    i64.const 2409213407592880556
    local.set $5
    local.get $1
    local.set $0
    loop $for-loop|1
     local.get $0
     local.get $9
     i32.lt_u
     if
      local.get $2
      local.get $0
      i64.load
      i64.const -4658895280553007687
      i64.mul
      i64.add
      i64.const 31
      i64.rotl
      i64.const -7046029254386353131
      i64.mul
      local.set $2
      local.get $3
      local.get $0
      i64.load offset=8
      i64.const -4658895280553007687
      i64.mul
      i64.add
      i64.const 31
      i64.rotl
      i64.const -7046029254386353131
      i64.mul
      local.set $3
      local.get $4
      local.get $0
      i64.load offset=16
      i64.const -4658895280553007687
      i64.mul
      i64.add
      i64.const 31
      i64.rotl
      i64.const -7046029254386353131
      i64.mul
      local.set $4
      local.get $5
      local.get $0
      i64.load offset=24
      i64.const -4658895280553007687
      i64.mul
      i64.add
      i64.const 31
      i64.rotl
      i64.const -7046029254386353131
      i64.mul
      local.set $5
      local.get $0
      i32.const 32
      i32.add
      local.set $0
      br $for-loop|1
     end
    end
    i64.const 1
    local.get $8
    local.get $2
    i64.const 1
    i64.rotl
    local.get $3
    i64.const 7
    i64.rotl
    i64.add
    local.get $4
    i64.const 12
    i64.rotl
    i64.add
    local.get $5
    i64.const 18
    i64.rotl
    i64.add
    i64.const -4658895280553007687
    i64.mul
    i64.xor
    i64.const 27
    i64.rotl
    i64.const -7046029254386353131
    i64.mul
    i64.const 7723592293110705685
    i64.sub
    local.tee $2
    local.get $2
    i64.const 33
    i64.shr_u
    i64.xor
    i64.const -4658895280553007687
    i64.mul
    local.tee $2
    local.get $2
    i64.const 29
    i64.shr_u
    i64.xor
    i64.const -7723592293110705685
    i64.mul
    local.tee $2
    local.get $2
    i64.const 32
    i64.shr_u
    i64.xor
    local.tee $2
    local.get $2
    i64.eqz
    select
    global.set $hash/parent
    global.get $columns/chain
    global.get $hash/count
    i32.const 3
    i32.shl
    i32.add
    global.get $hash/parent
    i64.store
    global.get $hash/count
    i32.const 1
    i32.add
    global.set $hash/count
    local.get $1
    global.get $columns/chunkBytes
    i32.add
    local.set $1
    br $for-loop|0
   end
  end
  global.get $columns/textWindow
  local.get $7
  local.get $6
  memory.copy
  local.get $6
 )
 (func $filter/setModelRow (param $0 i32) (param $1 i32) (param $2 i32)
  (local $3 i64)
  (local $4 i64)
  global.get $columns/models
  local.get $0
  global.get $columns/words
  i32.mul
  local.get $1
  i32.const 6
  i32.shr_u
  i32.add
  i32.const 3
  i32.shl
  i32.add
  local.tee $0
  i64.load
  local.set $3
  local.get $0
  i64.const 1
  local.get $1
  i32.const 63
  i32.and
  i64.extend_i32_u
  i64.shl
  local.tee $4
  local.get $3
  i64.or
  local.get $3
  local.get $4
  i64.const -1
  i64.xor
  i64.and
  local.get $2
  select
  i64.store
 )
 (func $filter/filter
  (local $0 i32)
  (local $1 i32)
  (local $2 i32)
  (local $3 i32)
  (local $4 v128)
  (local $5 i32)
  (local $6 i32)
  (local $7 v128)
  (local $8 v128)
  (local $9 v128)
  (local $10 i32)
  i32.const 0
  global.set $filter/count
  global.get $columns/askWords
  i32.load offset=24
  i32.eqz
  local.tee $0
  if
   global.get $columns/askWords
   i32.load offset=36
   i32.const 0
   i32.ne
   local.set $0
  end
  local.get $0
  if
   global.get $columns/askWords
   i32.load offset=28
   i32.const 0
   i32.ne
   local.set $0
  end
  global.get $columns/words
  i32.const 2
  i32.shl
  local.set $6
  loop $for-loop|0
   local.get $5
   local.get $6
   i32.lt_u
   if
    global.get $columns/active
    local.get $5
    i32.const 1
    i32.shl
    i32.add
    i32.load16_u
    local.tee $3
    if
     local.get $5
     i32.const 4
     i32.shl
     local.set $2
     local.get $0
     if (result i32)
      global.get $columns/down
      local.get $2
      i32.add
      v128.load
      global.get $columns/admission
      local.get $2
      i32.add
      v128.load
      v128.or
      global.get $columns/tier
      local.get $2
      i32.add
      v128.load
      i32.const 255
      global.get $columns/askWords
      i32.load offset=12
      local.tee $1
      local.get $1
      i32.const 255
      i32.ge_u
      select
      i8x16.splat
      i8x16.gt_u
      v128.or
      v128.any_true
      if (result i32)
       i32.const 0
      else
       global.get $columns/askWords
       i32.load offset=4
       i32x4.splat
       local.set $9
       global.get $columns/askWords
       i32.load offset=8
       i32x4.splat
       local.set $7
       global.get $columns/askNumbers
       f64.load offset=24
       f64.ceil
       i32.trunc_sat_f64_u
       i32x4.splat
       local.set $8
       v128.const i32x4 0x00000000 0x00000000 0x00000000 0x00000000
       local.set $4
       local.get $2
       i32.const 2
       i32.shl
       local.set $1
       loop $for-loop|00
        local.get $1
        local.get $2
        i32.const 2
        i32.shl
        i32.const -64
        i32.sub
        i32.lt_u
        if
         local.get $4
         local.get $9
         global.get $columns/capabilities
         local.get $1
         i32.add
         v128.load
         v128.andnot
         v128.or
         local.get $7
         global.get $columns/tenants
         local.get $1
         i32.add
         v128.load
         v128.and
         v128.const i32x4 0x00000000 0x00000000 0x00000000 0x00000000
         i32x4.eq
         v128.or
         local.get $8
         global.get $columns/contextTokens
         local.get $1
         i32.add
         v128.load
         i32x4.gt_u
         v128.or
         local.set $4
         local.get $1
         i32.const 16
         i32.add
         local.set $1
         br $for-loop|00
        end
       end
       local.get $4
       v128.any_true
       if (result i32)
        i32.const 0
       else
        global.get $columns/askNumbers
        f64.load offset=48
        f64x2.splat
        local.set $7
        v128.const i32x4 0x00000000 0x00000000 0x00000000 0x00000000
        local.set $4
        local.get $2
        i32.const 3
        i32.shl
        local.set $1
        loop $for-loop|1
         local.get $1
         local.get $2
         i32.const 3
         i32.shl
         i32.const 128
         i32.add
         i32.lt_u
         if
          local.get $4
          local.get $7
          global.get $columns/freshUntilMs
          local.get $1
          i32.add
          local.tee $10
          v128.load
          f64x2.gt
          v128.or
          local.get $7
          local.get $10
          v128.load offset=16
          f64x2.gt
          v128.or
          local.set $4
          local.get $1
          i32.const 32
          i32.add
          local.set $1
          br $for-loop|1
         end
        end
        local.get $4
        v128.any_true
        i32.eqz
       end
      end
     else
      i32.const 0
     end
     if
      global.get $filter/count
      local.set $1
      loop $for-loop|11
       local.get $3
       if
        local.get $2
        local.get $3
        i32.ctz
        i32.add
        local.tee $10
        global.get $columns/codes
        i32.add
        i32.const 0
        i32.store8
        global.get $columns/candidates
        local.get $1
        i32.const 2
        i32.shl
        i32.add
        local.get $10
        i32.store
        local.get $1
        i32.const 1
        i32.add
        local.set $1
        local.get $3
        local.get $3
        i32.const 1
        i32.sub
        i32.and
        local.set $3
        br $for-loop|11
       end
      end
      local.get $1
      global.set $filter/count
     else
      local.get $2
      local.get $3
      call $filter/askEach
     end
    end
    local.get $5
    i32.const 1
    i32.add
    local.set $5
    br $for-loop|0
   end
  end
 )
 (func $filter/askEach (param $0 i32) (param $1 i32)
  (local $2 i32)
  (local $3 i32)
  (local $4 i32)
  (local $5 i32)
  loop $for-loop|0
   local.get $1
   if
    i32.const 2
    local.set $2
    block $filter/exclusion|inlined.0
     global.get $columns/askWords
     i32.load offset=4
     local.tee $4
     global.get $columns/capabilities
     local.get $0
     local.get $1
     i32.ctz
     i32.add
     local.tee $3
     i32.const 2
     i32.shl
     i32.add
     i32.load
     i32.and
     local.get $4
     i32.ne
     br_if $filter/exclusion|inlined.0
     i32.const 3
     local.set $2
     global.get $columns/askWords
     i32.load offset=36
     if (result i32)
      i32.const 1
     else
      global.get $columns/regionSet
      global.get $columns/region
      local.get $3
      i32.add
      i32.load8_u
      local.tee $4
      i32.const 5
      i32.shr_u
      i32.const 2
      i32.shl
      i32.add
      i32.load
      local.get $4
      i32.shr_u
      i32.const 1
      i32.and
     end
     i32.eqz
     br_if $filter/exclusion|inlined.0
     i32.const 4
     local.set $2
     global.get $columns/tenants
     local.get $3
     i32.const 2
     i32.shl
     i32.add
     i32.load
     global.get $columns/askWords
     i32.load offset=8
     i32.and
     i32.eqz
     br_if $filter/exclusion|inlined.0
     i32.const 5
     local.set $2
     global.get $columns/askWords
     i32.load offset=12
     global.get $columns/tier
     local.get $3
     i32.add
     i32.load8_u
     i32.lt_u
     br_if $filter/exclusion|inlined.0
     i32.const 6
     local.set $2
     global.get $columns/down
     local.get $3
     i32.add
     i32.load8_u
     br_if $filter/exclusion|inlined.0
     i32.const 7
     local.set $2
     global.get $columns/admission
     local.get $3
     i32.add
     i32.load8_u
     local.tee $4
     if (result i32)
      local.get $4
      i32.const 1
      i32.ne
      if (result i32)
       i32.const 1
      else
       local.get $3
       global.get $columns/askWords
       i32.load offset=20
       i32.ne
      end
     else
      i32.const 0
     end
     br_if $filter/exclusion|inlined.0
     i32.const 8
     local.set $2
     global.get $columns/askNumbers
     f64.load offset=48
     global.get $columns/freshUntilMs
     local.get $3
     i32.const 3
     i32.shl
     i32.add
     f64.load
     f64.gt
     br_if $filter/exclusion|inlined.0
     i32.const 9
     local.set $2
     global.get $columns/contextTokens
     local.get $3
     i32.const 2
     i32.shl
     i32.add
     i32.load
     local.tee $4
     i32.const -1
     i32.ne
     if (result i32)
      global.get $columns/askNumbers
      f64.load offset=24
      local.get $4
      f64.convert_i32_u
      f64.gt
     else
      i32.const 0
     end
     br_if $filter/exclusion|inlined.0
     i32.const 10
     local.set $2
     global.get $columns/askWords
     i32.load offset=24
     local.tee $5
     if (result i32)
      i32.const 0
      local.set $4
      block $__inlined_func$filter/wasTried$27 (result i32)
       loop $for-loop|00
        local.get $4
        local.get $5
        i32.lt_u
        if
         i32.const 1
         global.get $columns/triedRows
         local.get $4
         i32.const 2
         i32.shl
         i32.add
         i32.load
         local.get $3
         i32.eq
         br_if $__inlined_func$filter/wasTried$27
         drop
         local.get $4
         i32.const 1
         i32.add
         local.set $4
         br $for-loop|00
        end
       end
       i32.const 0
      end
     else
      i32.const 0
     end
     br_if $filter/exclusion|inlined.0
     i32.const 11
     local.set $2
     global.get $columns/askWords
     i32.load offset=28
     if (result i32)
      i32.const 0
     else
      local.get $3
      i32.const 2
      i32.shl
      local.tee $4
      global.get $columns/inFlight
      i32.add
      i32.load
      global.get $columns/inFlightCap
      local.get $4
      i32.add
      i32.load
      i32.ge_u
     end
     br_if $filter/exclusion|inlined.0
     i32.const 0
     local.set $2
    end
    local.get $2
    if
     global.get $columns/codes
     local.get $3
     i32.add
     local.get $2
     i32.store8
     global.get $columns/resultWords
     i32.const 16
     i32.add
     local.get $2
     i32.const 2
     i32.shl
     i32.add
     local.tee $2
     local.get $2
     i32.load
     i32.const 1
     i32.add
     i32.store
    else
     global.get $filter/count
     local.set $4
     i32.const 1
     local.set $2
     loop $for-loop|1
      local.get $2
      if
       local.get $3
       local.get $2
       i32.ctz
       i32.add
       local.tee $5
       global.get $columns/codes
       i32.add
       i32.const 0
       i32.store8
       global.get $columns/candidates
       local.get $4
       i32.const 2
       i32.shl
       i32.add
       local.get $5
       i32.store
       local.get $4
       i32.const 1
       i32.add
       local.set $4
       local.get $2
       local.get $2
       i32.const 1
       i32.sub
       i32.and
       local.set $2
       br $for-loop|1
      end
     end
     local.get $4
     global.set $filter/count
    end
    local.get $1
    local.get $1
    i32.const 1
    i32.sub
    i32.and
    local.set $1
    br $for-loop|0
   end
  end
 )
 (func $feed/takeFeed (param $0 i32) (result i32)
  (local $1 i32)
  (local $2 i32)
  (local $3 i32)
  (local $4 i32)
  global.get $feed/rowsAt
  local.get $0
  i32.const 5
  i32.shl
  i32.add
  local.set $0
  loop $while-continue|0
   local.get $0
   i32.load offset=4
   if (result i32)
    local.get $1
    i32.const -64
    i32.sub
    i32.const 2
    i32.shl
    i32.const 65536
    i32.le_u
   else
    i32.const 0
   end
   if
    local.get $0
    i32.load offset=4
    local.tee $2
    local.get $0
    i32.load offset=8
    i32.eq
    if (result i32)
     local.get $0
     i32.load offset=12
    else
     i32.const 64
    end
    i32.const 1
    i32.sub
    local.set $3
    global.get $columns/textWindow
    local.get $1
    i32.const 2
    i32.shl
    i32.add
    global.get $feed/segmentsAt
    local.get $2
    i32.const 8
    i32.shl
    i32.add
    i32.const 252
    i32.sub
    local.get $3
    i32.const 2
    i32.shl
    memory.copy
    local.get $1
    local.get $3
    i32.add
    local.set $1
    global.get $feed/segmentsAt
    local.get $0
    i32.load offset=4
    local.tee $3
    i32.const 1
    i32.sub
    i32.const 8
    i32.shl
    i32.add
    local.tee $4
    i32.load
    local.set $2
    local.get $4
    global.get $feed/freeList
    i32.store
    local.get $3
    global.set $feed/freeList
    local.get $0
    local.get $2
    i32.store offset=4
    local.get $2
    i32.eqz
    if
     local.get $0
     i32.const 0
     i32.store offset=8
    end
    local.get $0
    local.get $0
    i32.load offset=16
    i32.const 1
    i32.sub
    i32.store offset=16
    br $while-continue|0
   end
  end
  local.get $1
 )
 (func $feed/startFeed (param $0 i32) (result i32)
  (local $1 i32)
  global.get $columns/fed
  local.get $0
  i32.const 6
  i32.shr_u
  i32.const 3
  i32.shl
  i32.add
  i64.load
  local.get $0
  i32.const 63
  i32.and
  i64.extend_i32_u
  i64.shr_u
  i64.const 1
  i64.and
  i32.wrap_i64
  if
   i32.const 0
   return
  end
  global.get $feed/segments
  i32.eqz
  if
   i32.const 1
   return
  end
  global.get $columns/fed
  local.get $0
  i32.const 6
  i32.shr_u
  i32.const 3
  i32.shl
  i32.add
  local.tee $1
  local.get $1
  i64.load
  i64.const 1
  local.get $0
  i32.const 63
  i32.and
  i64.extend_i32_u
  i64.shl
  i64.or
  i64.store
  i32.const 1
 )
 (func $digest/dropDigest (param $0 i32) (param $1 i32)
  (local $2 i32)
  (local $3 i32)
  (local $4 i32)
  (local $5 i32)
  global.get $digest/slots
  i32.eqz
  if
   return
  end
  loop $for-loop|0
   local.get $0
   local.get $3
   i32.gt_u
   if
    global.get $columns/textWindow
    local.get $3
    i32.const 2
    i32.shl
    i32.add
    i32.load
    i32.const 16777215
    i32.and
    local.tee $2
    i32.const 1
    i32.add
    local.set $5
    global.get $digest/slotsAt
    local.get $2
    i64.extend_i32_u
    global.get $digest/slots
    i64.extend_i32_u
    i64.mul
    i64.const 24
    i64.shr_u
    i32.wrap_i64
    local.tee $2
    i32.const 3
    i32.shl
    i32.add
    i32.load
    local.set $4
    loop $for-loop|1
     local.get $4
     i32.const 0
     i32.ne
     local.get $4
     local.get $5
     i32.ne
     i32.and
     if
      global.get $digest/slotsAt
      local.get $2
      i32.const 1
      i32.add
      local.tee $2
      i32.const 0
      global.get $digest/slots
      local.get $2
      i32.ne
      select
      local.tee $2
      i32.const 3
      i32.shl
      i32.add
      i32.load
      local.set $4
      br $for-loop|1
     end
    end
    global.get $digest/slotsAt
    local.get $2
    i32.const 3
    i32.shl
    i32.add
    local.tee $4
    i32.load
    if (result i32)
     block $digest/isHolder|inlined.3 (result i32)
      local.get $4
      i32.load offset=4
      local.tee $4
      i32.const -2147483648
      i32.ge_u
      if
       global.get $digest/masksAt
       global.get $columns/words
       local.get $4
       i32.const 1073741823
       i32.and
       i32.mul
       i32.const 3
       i32.shl
       i32.add
       local.get $1
       i32.const 6
       i32.shr_u
       i32.const 3
       i32.shl
       i32.add
       i64.load
       local.get $1
       i32.const 63
       i32.and
       i64.extend_i32_u
       i64.shr_u
       i64.const 1
       i64.and
       i32.wrap_i64
       br $digest/isHolder|inlined.3
      end
      local.get $1
      local.get $4
      i32.const 4095
      i32.and
      i32.eq
      if (result i32)
       i32.const 1
      else
       local.get $1
       local.get $4
       i32.const 12
       i32.shr_u
       i32.const 4095
       i32.and
       i32.eq
      end
     end
    else
     i32.const 0
    end
    if
     local.get $2
     local.get $1
     call $digest/dropHolder
    end
    local.get $3
    i32.const 1
    i32.add
    local.set $3
    br $for-loop|0
   end
  end
 )
 (func $digest/addHash (param $0 i32) (param $1 i32) (result i32)
  (local $2 i32)
  (local $3 i32)
  (local $4 i32)
  (local $5 i32)
  (local $6 i32)
  local.get $0
  i32.const 1
  i32.add
  local.set $4
  global.get $digest/slotsAt
  local.get $0
  i64.extend_i32_u
  global.get $digest/slots
  i64.extend_i32_u
  i64.mul
  i64.const 24
  i64.shr_u
  i32.wrap_i64
  local.tee $2
  i32.const 3
  i32.shl
  i32.add
  i32.load
  local.set $3
  loop $for-loop|0
   local.get $3
   i32.const 0
   i32.ne
   local.get $3
   local.get $4
   i32.ne
   i32.and
   if
    global.get $digest/slotsAt
    local.get $2
    i32.const 1
    i32.add
    local.tee $2
    i32.const 0
    global.get $digest/slots
    local.get $2
    i32.ne
    select
    local.tee $2
    i32.const 3
    i32.shl
    i32.add
    i32.load
    local.set $3
    br $for-loop|0
   end
  end
  global.get $digest/slotsAt
  local.get $2
  i32.const 3
  i32.shl
  i32.add
  local.tee $4
  i32.load
  i32.eqz
  local.set $2
  local.get $4
  i32.load offset=4
  local.set $5
  local.get $2
  if (result i32)
   i32.const 0
  else
   block $digest/isHolder|inlined.2 (result i32)
    local.get $5
    i32.const -2147483648
    i32.ge_u
    if
     global.get $digest/masksAt
     global.get $columns/words
     local.get $5
     i32.const 1073741823
     i32.and
     i32.mul
     i32.const 3
     i32.shl
     i32.add
     local.get $1
     i32.const 6
     i32.shr_u
     i32.const 3
     i32.shl
     i32.add
     i64.load
     local.get $1
     i32.const 63
     i32.and
     i64.extend_i32_u
     i64.shr_u
     i64.const 1
     i64.and
     i32.wrap_i64
     br $digest/isHolder|inlined.2
    end
    local.get $1
    local.get $5
    i32.const 4095
    i32.and
    i32.eq
    if (result i32)
     i32.const 1
    else
     local.get $1
     local.get $5
     i32.const 12
     i32.shr_u
     i32.const 4095
     i32.and
     i32.eq
    end
   end
  end
  if
   i32.const 1
   return
  end
  global.get $digest/rowMax
  global.get $digest/rowsAt
  local.get $1
  i32.const 5
  i32.shl
  i32.add
  i32.load
  i32.le_u
  if
   i32.const 0
   return
  end
  local.get $2
  if
   global.get $digest/entries
   global.get $digest/entriesMax
   i32.ge_u
   if
    i32.const 0
    return
   end
   global.get $digest/entries
   i32.const 1
   i32.add
   global.set $digest/entries
   local.get $4
   local.get $0
   i32.const 1
   i32.add
   i32.store
   local.get $4
   local.get $1
   local.get $1
   i32.const 12
   i32.shl
   i32.or
   i32.store offset=4
  else
   local.get $5
   i32.const 1073741824
   i32.lt_u
   if
    local.get $4
    local.get $5
    i32.const 4095
    i32.and
    i32.const 1073741824
    i32.or
    local.get $1
    i32.const 12
    i32.shl
    i32.or
    i32.store offset=4
   else
    local.get $5
    i32.const -2147483648
    i32.lt_u
    if
     global.get $digest/freeMasks
     i32.eqz
     global.get $digest/masksUsedOnce
     global.get $digest/masks
     i32.eq
     i32.and
     if (result i32)
      i32.const 0
     else
      global.get $digest/freeMasks
      if
       global.get $digest/masksAt
       global.get $columns/words
       global.get $digest/freeMasks
       i32.const 1
       i32.sub
       local.tee $0
       i32.const 1073741823
       i32.and
       i32.mul
       i32.const 3
       i32.shl
       i32.add
       i32.load
       global.set $digest/freeMasks
      else
       global.get $digest/masksUsedOnce
       local.tee $0
       i32.const 1
       i32.add
       global.set $digest/masksUsedOnce
      end
      global.get $digest/masksAt
      global.get $columns/words
      local.get $0
      i32.const 1073741823
      i32.and
      i32.mul
      i32.const 3
      i32.shl
      i32.add
      local.tee $2
      i32.const 0
      global.get $columns/words
      i32.const 3
      i32.shl
      memory.fill
      local.get $2
      local.get $5
      i32.const 4095
      i32.and
      local.tee $3
      i32.const 6
      i32.shr_u
      i32.const 3
      i32.shl
      i32.add
      local.tee $6
      local.get $6
      i64.load
      i64.const 1
      local.get $3
      i32.const 63
      i32.and
      i64.extend_i32_u
      i64.shl
      i64.or
      i64.store
      local.get $2
      local.get $5
      i32.const 12
      i32.shr_u
      i32.const 4095
      i32.and
      local.tee $3
      i32.const 6
      i32.shr_u
      i32.const 3
      i32.shl
      i32.add
      local.tee $5
      local.get $5
      i64.load
      i64.const 1
      local.get $3
      i32.const 63
      i32.and
      i64.extend_i32_u
      i64.shl
      i64.or
      i64.store
      local.get $2
      local.get $1
      i32.const 6
      i32.shr_u
      i32.const 3
      i32.shl
      i32.add
      local.tee $2
      local.get $2
      i64.load
      i64.const 1
      local.get $1
      i32.const 63
      i32.and
      i64.extend_i32_u
      i64.shl
      i64.or
      i64.store
      local.get $4
      local.get $0
      i32.const -2147483648
      i32.or
      i32.store offset=4
      i32.const 1
     end
     i32.eqz
     if
      i32.const 0
      return
     end
    else
     global.get $digest/masksAt
     global.get $columns/words
     local.get $5
     i32.const 1073741823
     i32.and
     i32.mul
     i32.const 3
     i32.shl
     i32.add
     local.get $1
     i32.const 6
     i32.shr_u
     i32.const 3
     i32.shl
     i32.add
     local.tee $0
     local.get $0
     i64.load
     i64.const 1
     local.get $1
     i32.const 63
     i32.and
     i64.extend_i32_u
     i64.shl
     i64.or
     i64.store
    end
   end
  end
  global.get $digest/rowsAt
  local.get $1
  i32.const 5
  i32.shl
  i32.add
  local.tee $0
  i32.load
  local.set $2
  local.get $0
  local.get $2
  i32.const 1
  i32.add
  i32.store
  local.get $2
  i32.eqz
  if
   global.get $columns/told
   local.get $1
   i32.const 6
   i32.shr_u
   i32.const 3
   i32.shl
   i32.add
   local.tee $0
   local.get $0
   i64.load
   i64.const 1
   local.get $1
   i32.const 63
   i32.and
   i64.extend_i32_u
   i64.shl
   i64.or
   i64.store
  end
  global.get $digest/pairs
  i32.const 1
  i32.add
  global.set $digest/pairs
  i32.const 1
 )
 (func $digest/addDigest (param $0 i32) (param $1 i32)
  (local $2 i32)
  global.get $digest/slots
  i32.eqz
  if
   return
  end
  loop $for-loop|0
   local.get $0
   local.get $2
   i32.gt_u
   if
    global.get $columns/textWindow
    local.get $2
    i32.const 2
    i32.shl
    i32.add
    i32.load
    i32.const 16777215
    i32.and
    local.get $1
    call $digest/addHash
    i32.eqz
    if
     global.get $digest/refused
     f64.const 1
     f64.add
     global.set $digest/refused
    end
    local.get $2
    i32.const 1
    i32.add
    local.set $2
    br $for-loop|0
   end
  end
 )
 (func $columns/layout (param $0 i32) (param $1 i32) (param $2 i32)
  i32.const 1024
  global.set $columns/top
  local.get $0
  global.set $columns/rows
  local.get $0
  i32.const 6
  i32.shr_u
  global.set $columns/words
  local.get $1
  global.set $columns/chunkBytes
  local.get $2
  global.set $columns/chunkLimit
  i32.const 1088
  global.set $columns/top
  i32.const 1024
  global.set $columns/askWords
  i32.const 1152
  global.set $columns/top
  i32.const 1088
  global.set $columns/askNumbers
  i32.const 1216
  global.set $columns/top
  i32.const 1152
  global.set $columns/regionSet
  i32.const 1472
  global.set $columns/top
  i32.const 1216
  global.set $columns/triedRows
  i32.const 1600
  global.set $columns/top
  i32.const 1472
  global.set $columns/weights
  i32.const 1728
  global.set $columns/top
  i32.const 1600
  global.set $columns/resultWords
  i32.const 1792
  global.set $columns/top
  i32.const 1728
  global.set $columns/resultNumbers
  global.get $columns/rows
  i32.const 127
  i32.add
  i32.const -64
  i32.and
  local.tee $0
  i32.const 1792
  i32.add
  global.set $columns/top
  i32.const 1792
  global.set $columns/inUse
  global.get $columns/top
  global.get $columns/top
  local.get $0
  i32.add
  global.set $columns/top
  global.set $columns/tier
  global.get $columns/top
  global.get $columns/top
  global.get $columns/rows
  i32.const 127
  i32.add
  i32.const -64
  i32.and
  i32.add
  global.set $columns/top
  global.set $columns/admission
  global.get $columns/top
  global.get $columns/top
  global.get $columns/rows
  i32.const 127
  i32.add
  i32.const -64
  i32.and
  i32.add
  global.set $columns/top
  global.set $columns/down
  global.get $columns/top
  global.get $columns/top
  global.get $columns/rows
  i32.const 127
  i32.add
  i32.const -64
  i32.and
  i32.add
  global.set $columns/top
  global.set $columns/region
  global.get $columns/top
  global.get $columns/top
  global.get $columns/rows
  i32.const 2
  i32.shl
  i32.const 127
  i32.add
  i32.const -64
  i32.and
  i32.add
  global.set $columns/top
  global.set $columns/capabilities
  global.get $columns/top
  global.get $columns/top
  global.get $columns/rows
  i32.const 2
  i32.shl
  i32.const 127
  i32.add
  i32.const -64
  i32.and
  i32.add
  global.set $columns/top
  global.set $columns/tenants
  global.get $columns/top
  global.get $columns/top
  global.get $columns/rows
  i32.const 2
  i32.shl
  i32.const 127
  i32.add
  i32.const -64
  i32.and
  i32.add
  global.set $columns/top
  global.set $columns/contextTokens
  global.get $columns/top
  global.get $columns/top
  global.get $columns/rows
  i32.const 2
  i32.shl
  i32.const 127
  i32.add
  i32.const -64
  i32.and
  i32.add
  global.set $columns/top
  global.set $columns/inFlight
  global.get $columns/top
  global.get $columns/top
  global.get $columns/rows
  i32.const 2
  i32.shl
  i32.const 127
  i32.add
  i32.const -64
  i32.and
  i32.add
  global.set $columns/top
  global.set $columns/inFlightCap
  global.get $columns/top
  global.get $columns/top
  global.get $columns/rows
  i32.const 3
  i32.shl
  i32.const 127
  i32.add
  i32.const -64
  i32.and
  i32.add
  global.set $columns/top
  global.set $columns/queuedTokens
  global.get $columns/top
  global.get $columns/top
  global.get $columns/rows
  i32.const 3
  i32.shl
  i32.const 127
  i32.add
  i32.const -64
  i32.and
  i32.add
  global.set $columns/top
  global.set $columns/sentTokens
  global.get $columns/top
  global.get $columns/top
  global.get $columns/rows
  i32.const 3
  i32.shl
  i32.const 127
  i32.add
  i32.const -64
  i32.and
  i32.add
  global.set $columns/top
  global.set $columns/ownTokens
  global.get $columns/top
  global.get $columns/top
  global.get $columns/rows
  i32.const 3
  i32.shl
  i32.const 127
  i32.add
  i32.const -64
  i32.and
  i32.add
  global.set $columns/top
  global.set $columns/busySinceMs
  global.get $columns/top
  global.get $columns/top
  global.get $columns/rows
  i32.const 3
  i32.shl
  i32.const 127
  i32.add
  i32.const -64
  i32.and
  i32.add
  global.set $columns/top
  global.set $columns/busyTokens
  global.get $columns/top
  global.get $columns/top
  global.get $columns/rows
  i32.const 3
  i32.shl
  i32.const 127
  i32.add
  i32.const -64
  i32.and
  i32.add
  global.set $columns/top
  global.set $columns/waitingTokens
  global.get $columns/top
  global.get $columns/top
  global.get $columns/rows
  i32.const 3
  i32.shl
  i32.const 127
  i32.add
  i32.const -64
  i32.and
  i32.add
  global.set $columns/top
  global.set $columns/sampleAtMs
  global.get $columns/top
  global.get $columns/top
  global.get $columns/rows
  i32.const 3
  i32.shl
  i32.const 127
  i32.add
  i32.const -64
  i32.and
  i32.add
  global.set $columns/top
  global.set $columns/freshUntilMs
  global.get $columns/top
  global.get $columns/top
  global.get $columns/rows
  i32.const 3
  i32.shl
  i32.const 127
  i32.add
  i32.const -64
  i32.and
  i32.add
  global.set $columns/top
  global.set $columns/kvUsage
  global.get $columns/top
  global.get $columns/top
  global.get $columns/rows
  i32.const 3
  i32.shl
  i32.const 127
  i32.add
  i32.const -64
  i32.and
  i32.add
  global.set $columns/top
  global.set $columns/prefillRate
  global.get $columns/top
  global.get $columns/top
  global.get $columns/rows
  i32.const 3
  i32.shl
  i32.const 127
  i32.add
  i32.const -64
  i32.and
  i32.add
  global.set $columns/top
  global.set $columns/rttMs
  global.get $columns/top
  global.get $columns/top
  global.get $columns/rows
  i32.const 3
  i32.shl
  i32.const 127
  i32.add
  i32.const -64
  i32.and
  i32.add
  global.set $columns/top
  global.set $columns/jitterMs
  global.get $columns/top
  global.get $columns/top
  global.get $columns/rows
  i32.const 3
  i32.shl
  i32.const 127
  i32.add
  i32.const -64
  i32.and
  i32.add
  global.set $columns/top
  global.set $columns/priceIn
  global.get $columns/top
  global.get $columns/top
  global.get $columns/rows
  i32.const 3
  i32.shl
  i32.const 127
  i32.add
  i32.const -64
  i32.and
  i32.add
  global.set $columns/top
  global.set $columns/priceCached
  global.get $columns/top
  global.get $columns/top
  global.get $columns/rows
  i32.const 3
  i32.shl
  i32.const 127
  i32.add
  i32.const -64
  i32.and
  i32.add
  global.set $columns/top
  global.set $columns/priceOut
  global.get $columns/top
  global.get $columns/top
  global.get $columns/rows
  i32.const 3
  i32.shl
  i32.const 127
  i32.add
  i32.const -64
  i32.and
  i32.add
  global.set $columns/top
  global.set $columns/trust
  global.get $columns/top
  global.get $columns/top
  global.get $columns/rows
  i32.const 3
  i32.shl
  i32.const 127
  i32.add
  i32.const -64
  i32.and
  i32.add
  global.set $columns/top
  global.set $columns/digestDiscount
  global.get $columns/top
  global.get $columns/top
  global.get $columns/words
  i32.const 11
  i32.shl
  i32.const 63
  i32.add
  i32.const -64
  i32.and
  i32.add
  global.set $columns/top
  global.set $columns/models
  global.get $columns/top
  global.get $columns/top
  global.get $columns/words
  i32.const 3
  i32.shl
  i32.const 63
  i32.add
  i32.const -64
  i32.and
  i32.add
  global.set $columns/top
  global.set $columns/active
  global.get $columns/top
  global.get $columns/top
  global.get $columns/words
  i32.const 3
  i32.shl
  i32.const 63
  i32.add
  i32.const -64
  i32.and
  i32.add
  global.set $columns/top
  global.set $columns/lost
  global.get $columns/top
  global.get $columns/top
  global.get $columns/words
  i32.const 3
  i32.shl
  i32.const 63
  i32.add
  i32.const -64
  i32.and
  i32.add
  global.set $columns/top
  global.set $columns/nobody
  global.get $columns/top
  global.get $columns/top
  global.get $columns/words
  i32.const 3
  i32.shl
  i32.const 63
  i32.add
  i32.const -64
  i32.and
  i32.add
  global.set $columns/top
  global.set $columns/told
  global.get $columns/top
  global.get $columns/top
  global.get $columns/words
  i32.const 3
  i32.shl
  i32.const 63
  i32.add
  i32.const -64
  i32.and
  i32.add
  global.set $columns/top
  global.set $columns/fed
  global.get $columns/top
  global.get $columns/top
  global.get $columns/rows
  i32.const 127
  i32.add
  i32.const -64
  i32.and
  i32.add
  global.set $columns/top
  global.set $columns/codes
  global.get $columns/top
  global.get $columns/top
  global.get $columns/rows
  i32.const 2
  i32.shl
  i32.const 127
  i32.add
  i32.const -64
  i32.and
  i32.add
  global.set $columns/top
  global.set $columns/matched
  global.get $columns/top
  global.get $columns/top
  global.get $columns/rows
  i32.const 2
  i32.shl
  i32.const 127
  i32.add
  i32.const -64
  i32.and
  i32.add
  global.set $columns/top
  global.set $columns/candidates
  global.get $columns/top
  global.get $columns/top
  global.get $columns/rows
  i32.const 2
  i32.shl
  i32.const 127
  i32.add
  i32.const -64
  i32.and
  i32.add
  global.set $columns/top
  global.set $columns/ties
  global.get $columns/top
  global.get $columns/top
  global.get $columns/rows
  i32.const 3
  i32.shl
  i32.const 127
  i32.add
  i32.const -64
  i32.and
  i32.add
  global.set $columns/top
  global.set $columns/ttfts
  global.get $columns/top
  global.get $columns/top
  global.get $columns/rows
  i32.const 3
  i32.shl
  i32.const 127
  i32.add
  i32.const -64
  i32.and
  i32.add
  global.set $columns/top
  global.set $columns/socials
  global.get $columns/top
  global.get $columns/top
  global.get $columns/rows
  i32.const 3
  i32.shl
  i32.const 127
  i32.add
  i32.const -64
  i32.and
  i32.add
  global.set $columns/top
  global.set $columns/prices
  global.get $columns/top
  global.get $columns/top
  i32.const 65600
  i32.add
  global.set $columns/top
  global.set $columns/textWindow
  global.get $columns/top
  global.get $columns/top
  local.get $2
  i32.const 3
  i32.shl
  i32.const 63
  i32.add
  i32.const -64
  i32.and
  i32.add
  global.set $columns/top
  global.set $columns/chain
 )
 (func $columns/columnAt (param $0 i32) (result i32)
  local.get $0
  i32.const 0
  i32.lt_s
  if
   i32.const 0
   return
  end
  local.get $0
  i32.const 5
  i32.lt_s
  if
   global.get $columns/inUse
   local.get $0
   global.get $columns/tier
   global.get $columns/inUse
   i32.sub
   i32.mul
   i32.add
   return
  end
  local.get $0
  i32.const 10
  i32.lt_s
  if
   global.get $columns/capabilities
   local.get $0
   i32.const 5
   i32.sub
   global.get $columns/tenants
   global.get $columns/capabilities
   i32.sub
   i32.mul
   i32.add
   return
  end
  local.get $0
  i32.const 27
  i32.lt_s
  if
   global.get $columns/queuedTokens
   local.get $0
   i32.const 10
   i32.sub
   global.get $columns/sentTokens
   global.get $columns/queuedTokens
   i32.sub
   i32.mul
   i32.add
   return
  end
  i32.const 0
 )
 (func $columns/blockAt (param $0 i32) (result i32)
  block $case9|0
   block $case8|0
    block $case7|0
     block $case6|0
      block $case5|0
       block $case4|0
        block $case3|0
         block $case2|0
          block $case1|0
           block $case0|0
            local.get $0
            br_table $case0|0 $case1|0 $case2|0 $case3|0 $case4|0 $case5|0 $case6|0 $case7|0 $case8|0 $case9|0
           end
           global.get $columns/askWords
           return
          end
          global.get $columns/askNumbers
          return
         end
         global.get $columns/regionSet
         return
        end
        global.get $columns/triedRows
        return
       end
       global.get $columns/weights
       return
      end
      global.get $columns/resultWords
      return
     end
     global.get $columns/resultNumbers
     return
    end
    global.get $columns/textWindow
    return
   end
   global.get $columns/chain
   return
  end
  i32.const 0
 )
)
