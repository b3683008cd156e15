"""EnTranNAS: differentiable architecture search with Engine-cells and Transit-cells."""
