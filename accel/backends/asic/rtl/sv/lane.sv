// One lane: a multiplier, an adder, and a converter to the format of the result. Its
// table of sigmoid, tanh or levels is a memory beside it.
module lane
  import fixed::*;
  import microcode::*;
(
    input int op,
    input exact_t x,
    input exact_t y,
    input int x_left,
    input int y_left,
    input logic signed [11:0] mantissa,
    input int right,                    // shift of the mantissa's product
    input logic signed [23:0] offset,
    input logic signed [11:0] entry,    // of the table
    input int shift,
    input int bits,
    output logic signed [23:0] z
);
  exact_t product, scaled, result;
  always_comb begin
    product = '0;
    scaled = '0;
    case (op)
      SCALE: begin
        product = x * exact_t'(mantissa);
        scaled = saturate(divide(product, right > 62 ? 62 : right < -17 ? -17 : right), 24);
        result = convert(saturate(scaled + exact_t'(offset), 24), shift, bits);
      end
      ADD: result = convert((x <<< x_left) + (y <<< y_left), shift, bits);
      MULTIPLY: result = convert(x * y, shift, bits);
      TABLE: result = exact_t'(entry);
      default: result = '0;
    endcase
    z = result[23:0];
  end
endmodule
