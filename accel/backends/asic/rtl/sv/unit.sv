// One multiply-accumulate unit. Weights are of one bit (1 is +1; 0 is -1, or 0 where
// signs is off), of two bits (-1, 0, +1) or 12-bit integers. With BOTH it has a second
// accumulator, which sums up the operands of the weights 0 of one bit or -1 of two,
// while the first sums up those of +1.
module unit #(
    parameter int WEIGHT_BITS = 1,
    parameter int SUM_BITS = 24,
    parameter int BOTH = 0
) (
    input logic clk,
    input logic enable,
    input logic first,
    input logic signs,
    input logic both,
    input logic signed [11:0] x,
    input logic [WEIGHT_BITS-1:0] weight,
    output logic signed [SUM_BITS-1:0] sum,
    output logic signed [SUM_BITS-1:0] second
);
  logic signed [SUM_BITS-1:0] held, kept;
  assign kept = first ? '0 : held;

  generate
    if (WEIGHT_BITS <= 2) begin : narrow
      logic negative, zero;
      if (WEIGHT_BITS == 1) begin : binary
        assign negative = ~weight[0] & signs & ~both;
        assign zero = ~weight[0] & (~signs | both);
      end else begin : ternary
        assign negative = weight[WEIGHT_BITS-1] & ~both;
        assign zero = ~weight[0] | (weight[WEIGHT_BITS-1] & both);
      end
      // One adder: -x is ~x with a carry, which enters below the lowest bit.
      logic signed [11:0] signed_x;
      logic signed [SUM_BITS:0] with_carry;
      assign signed_x = (x ^ {12{negative}}) & {12{~zero}};
      assign with_carry = {kept, 1'b1} + $signed({{SUM_BITS - 12{signed_x[11]}}, signed_x, negative & ~zero});
      assign sum = with_carry[SUM_BITS:1];
    end else begin : integers
      logic signed [11+WEIGHT_BITS:0] product;
      assign product = x * $signed(weight);
      assign sum = kept + SUM_BITS'(product);
    end

    if (BOTH != 0) begin : two
      logic signed [SUM_BITS-1:0] other;
      logic low;
      if (WEIGHT_BITS == 1) assign low = ~weight[0];
      else assign low = weight[WEIGHT_BITS-1];
      assign second = (first ? '0 : other) + (low ? SUM_BITS'(x) : '0);
      always_ff @(posedge clk) if (enable) other <= second;
    end else begin : one
      assign second = '0;
    end
  endgenerate

  always_ff @(posedge clk) if (enable) held <= sum;
endmodule
