// A column of units. Each cycle one element x of the operand goes to all of them, with
// a weight for each. The sums include what is added in this cycle.
module column #(
    parameter int UNITS = 100,
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
    input logic [UNITS*WEIGHT_BITS-1:0] weights,
    output logic [UNITS*SUM_BITS-1:0] sums,
    output logic [UNITS*SUM_BITS-1:0] seconds
);
  generate
    for (genvar u = 0; u < UNITS; u++) begin : units
      unit #(
          .WEIGHT_BITS(WEIGHT_BITS),
          .SUM_BITS(SUM_BITS),
          .BOTH(BOTH)
      ) one (
          .clk,
          .enable,
          .first,
          .signs,
          .both,
          .x,
          .weight(weights[u*WEIGHT_BITS+:WEIGHT_BITS]),
          .sum(sums[u*SUM_BITS+:SUM_BITS]),
          .second(seconds[u*SUM_BITS+:SUM_BITS])
      );
    end
  endgenerate
endmodule
