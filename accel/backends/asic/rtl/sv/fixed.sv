// Numbers of the datapath: two's complement, rounded to the nearest, ties to even,
// saturated. Package asic documents the formats.
package fixed;
  // Wide enough for every exact sum times a 12-bit mantissa.
  typedef logic signed [63:0] exact_t;

  // divide returns x / 2^shift; a negative shift multiplies.
  function automatic exact_t divide(input exact_t x, input int shift);
    // verilator no_inline_task
    exact_t half;
    if (shift <= 0) return x <<< (-shift);
    half = (exact_t'(1) <<< (shift - 1)) - 1;
    return (x + half + ((x >>> shift) & 1)) >>> shift;
  endfunction

  // saturate keeps what fits in so many bits.
  function automatic exact_t saturate(input exact_t x, input int bits);
    // verilator no_inline_task
    exact_t high;
    high = (exact_t'(1) <<< (bits - 1)) - 1;
    if (x > high) return high;
    if (x < -high - 1) return -high - 1;
    return x;
  endfunction

  function automatic exact_t convert(input exact_t x, input int shift, input int bits);
    // verilator no_inline_task
    return saturate(divide(x, shift), bits);
  endfunction
endpackage
