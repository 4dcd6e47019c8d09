"""A whole site under mixed load while everything around it fails, one fault after the other, in random order.

The clients write down what they see; the judges look at that, and at the database in the end, and at nothing else.
"""
