-- The tables of users in Keycloak's database, by their published column names.

CREATE TABLE realm (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    name VARCHAR(255) UNIQUE,
    enabled BOOLEAN NOT NULL DEFAULT TRUE,
    password_policy VARCHAR(2550)
);

CREATE TABLE realm_smtp_config (
    realm_id VARCHAR(36) NOT NULL REFERENCES realm,
    value VARCHAR(255),
    name VARCHAR(255) NOT NULL,
    PRIMARY KEY (realm_id, name)
);

CREATE TABLE user_entity (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    email VARCHAR(255),
    email_constraint VARCHAR(255),
    email_verified BOOLEAN NOT NULL DEFAULT FALSE,
    enabled BOOLEAN NOT NULL DEFAULT FALSE,
    federation_link VARCHAR(255),
    first_name VARCHAR(255),
    last_name VARCHAR(255),
    realm_id VARCHAR(255),
    username VARCHAR(255),
    created_timestamp BIGINT,
    service_account_client_link VARCHAR(255),
    not_before INT NOT NULL DEFAULT 0,
    UNIQUE (realm_id, email_constraint),
    UNIQUE (realm_id, username)
);

CREATE TABLE user_attribute (
    name VARCHAR(255) NOT NULL,
    value VARCHAR(255),
    user_id VARCHAR(36) NOT NULL REFERENCES user_entity,
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    long_value_hash BYTEA,
    long_value_hash_lower_case BYTEA,
    long_value TEXT
);

CREATE TABLE keycloak_group (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    name VARCHAR(255),
    parent_group VARCHAR(36) NOT NULL DEFAULT ' ',
    realm_id VARCHAR(36),
    type INT NOT NULL DEFAULT 0,
    description VARCHAR(255)
);

CREATE TABLE user_group_membership (
    group_id VARCHAR(36) NOT NULL,
    user_id VARCHAR(36) NOT NULL REFERENCES user_entity,
    membership_type VARCHAR(255) NOT NULL DEFAULT 'UNMANAGED',
    PRIMARY KEY (group_id, user_id)
);

CREATE TABLE credential (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    salt BYTEA,
    type VARCHAR(255),
    user_id VARCHAR(36) REFERENCES user_entity,
    created_date BIGINT,
    user_label VARCHAR(255),
    secret_data TEXT,
    credential_data TEXT,
    priority INT
);

CREATE TABLE federated_identity (
    identity_provider VARCHAR(255) NOT NULL,
    realm_id VARCHAR(36),
    federated_user_id VARCHAR(255),
    federated_username VARCHAR(255),
    token TEXT,
    user_id VARCHAR(36) NOT NULL REFERENCES user_entity,
    PRIMARY KEY (identity_provider, user_id)
);

INSERT INTO realm (id, name) VALUES ('r-acme', 'acme'), ('r-globex', 'globex');
INSERT INTO realm_smtp_config VALUES ('r-acme', 'PLANTED smtp password', 'password');

INSERT INTO user_entity
    (id, email, email_verified, enabled, first_name, last_name, realm_id, username, created_timestamp,
     service_account_client_link)
VALUES
    ('b-2', 'ada@example.com', TRUE, TRUE, 'Ada', 'Lovelace', 'r-acme', 'ada', 1700000000123, NULL),
    ('B-1', 'bob@example.com', FALSE, FALSE, NULL, 'Babbage', 'r-acme', 'bob', NULL, NULL),
    ('a-3', NULL, FALSE, TRUE, NULL, NULL, 'r-acme', 'carol', 1700000000000, NULL),
    ('s-4', NULL, FALSE, TRUE, NULL, NULL, 'r-acme', 'service-account', 0, 'client'),
    ('g-5', 'eve@example.com', TRUE, TRUE, 'Eve', 'Other', 'r-globex', 'eve', 0, NULL);

INSERT INTO user_attribute (id, user_id, name, value, long_value) VALUES
    ('1', 'b-2', 'locale', 'en-GB', NULL),
    ('2', 'b-2', 'phoneNumber', '+441234567890', NULL),
    ('3', 'b-2', 'phoneNumberVerified', 'true', NULL),
    ('4', 'b-2', 'department', 'sales', NULL),
    ('5', 'b-2', 'department', 'legal', NULL),
    ('6', 'b-2', 'mobile', '+441234567891', NULL),
    ('7', 'B-1', 'phoneNumber', '1234567', NULL),
    ('8', 'B-1', 'note', NULL, 'long');

INSERT INTO keycloak_group (id, name, realm_id) VALUES
    ('1', 'staff', 'r-acme'), ('2', 'Admins', 'r-acme'), ('3', 'staff', 'r-acme'), ('4', 'others', 'r-globex');
INSERT INTO user_group_membership (group_id, user_id) VALUES
    ('1', 'b-2'), ('2', 'b-2'), ('3', 'b-2'), ('1', 'a-3'), ('4', 'g-5');

INSERT INTO credential (id, type, user_id, salt, secret_data, credential_data) VALUES
    ('1', 'password', 'b-2', 'PLANTED', '{"value":"PLANTED hash","salt":"PLANTED"}', '{"algorithm":"PLANTED"}'),
    ('2', 'otp', 'b-2', NULL, '{"value":"PLANTED totp"}', '{"subType":"totp"}'),
    ('3', 'webauthn', 'b-2', NULL, 'PLANTED', 'PLANTED'),
    ('4', 'otp', 'g-5', NULL, 'PLANTED', 'PLANTED');

INSERT INTO federated_identity
    (identity_provider, realm_id, federated_user_id, federated_username, token, user_id)
VALUES
    ('google', 'r-acme', '10001', 'ada@gmail.example', 'PLANTED token', 'b-2'),
    ('github', 'r-acme', '777', 'ada', 'PLANTED token', 'b-2');
