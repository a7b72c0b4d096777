"""
Exports: a whole resource, and its changes since the export before, compared record by record.

HelpCrunch does not say when a record was changed, so an export lists all of them and compares each with the export
before. The engines know no operator, connection or task:

- :mod:`.base_path`: the objects of an export, below one path
- :mod:`.manifest`: the contents of a finished export, published last
- :mod:`.staging`: pages read so far, which survive a killed worker
- :mod:`.digests`: a key and a digest for each record, by which two exports are compared
- :mod:`.run`: start, finish and publish a run; :mod:`.listings` and :mod:`.messages` read the records
"""
