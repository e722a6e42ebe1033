ALTER TABLE bulk.event ADD PRIMARY KEY (id, happened);
CREATE INDEX event_actor ON bulk.event (actor);
CREATE INDEX event_happened ON bulk.event USING brin (happened);
