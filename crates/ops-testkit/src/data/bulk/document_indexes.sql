ALTER TABLE bulk.document ADD PRIMARY KEY (id);
CREATE INDEX document_author ON bulk.document (author, created);
CREATE INDEX document_ref ON bulk.document ((meta ->> 'ref'));
CREATE INDEX document_meta ON bulk.document USING gin (meta jsonb_path_ops);
