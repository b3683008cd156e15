"""The search: methods, their equations, the steps, the loop, the trials at its end."""
