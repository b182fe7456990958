"""Answers of providers, mutated at random, through the whole service: is what a person could read ever lost?"""
