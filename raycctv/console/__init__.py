"""The web console: FastAPI and pages of plain HTML, CSS and JavaScript, without a build step and without Ray.

    app.py          makes the application of all parts: routes, headers, limits, errors
    service.py      what every route works with: configuration, cluster, accounts, catalog, clock
    cluster.py      what the console asks of the running cluster, as a protocol
    server.py       the application on a port
    states.py system.py    what the actors say, as pages and the API show it
    database.py     one SQLite file beside the catalog, readable by its owner alone
    accounts.py     who may log in, as what, and which cameras they see        sessions.py  who is logged in
    tokens.py       keys of programs        audit.py  who did what             limits.py    how often one may try
    access.py       the dependencies by which a route says who may call it
    page.py         templates to answers        language.py  messages in the reader's language
    routes/         one module a subject: pages and the API below ``/api/`` beside each other
    media/          films, streams and pictures        setup/  changes of the configuration file
    templates/ static/ po/

A request is known by its cookie or its token (:mod:`.access`), and
reaches a route only if that account may call it: what no route says otherwise nobody may call without one. A camera that an
account does not see answers as one that does not exist. Work that blocks runs in threads. Nothing runs while nobody looks.
"""
