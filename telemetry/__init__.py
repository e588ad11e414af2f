"""The domain: what a reading is, when it is an alert, what the tables look like.

Pure Python: no AWS, no files, no network. Everything else imports from here and nothing here imports
from anywhere else. The Glue job runs it on Python 3.9, so its syntax stays at that version.
"""
