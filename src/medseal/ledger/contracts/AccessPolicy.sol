// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {
    AccessControlDefaultAdminRules
} from "@openzeppelin/contracts/access/extensions/AccessControlDefaultAdminRules.sol";
import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";

/// @title Access policy
/// @notice Who may view, classify or share which image. The rules are those of the embedded ledger
/// (docs/spec/ledger-event.md), word for word; a test drives both with the same histories.
/// @dev An account is an address. A person has a pseudonymous account of 16 bytes, its upper 4 bytes
/// are zero and nobody has its key; a gateway has the address of its key. A patient has none. An
/// image is named by its salted commitment. Times are milliseconds since 1970 UTC.
/// The owner is the default administrator of OpenZeppelin: offered, and accepted a day later.
abstract contract AccessPolicy is AccessControlDefaultAdminRules, Pausable {
    /// @notice What can be allowed.
    enum Action {
        View,
        Classify,
        Share
    }

    /// @notice Why a use is allowed or refused; the first three allow it.
    enum Reason {
        Owner,
        Granted,
        BreakGlass,
        Erased,
        Paused,
        NoGrant,
        Expired,
        Purpose,
        Unbounded,
        Withdrawn
    }

    /// @notice What is known of a patient's consent to research with an image.
    enum Consent {
        Unknown,
        Given,
        Withdrawn
    }

    /// @dev What stands for one image, in one word.
    struct Subject {
        bool erased;
        Consent consent;
    }

    /// @notice Role of a gateway: grants, revokes, anchors.
    bytes32 internal constant REGISTRAR_ROLE = keccak256("medseal.registrar");
    /// @notice Role of a clinician; may break the glass.
    bytes32 internal constant RADIOLOGIST_ROLE = keccak256("medseal.radiologist");
    /// @notice Role whose grants need a purpose, an end and a consent that was not withdrawn.
    bytes32 internal constant RESEARCHER_ROLE = keccak256("medseal.researcher");
    /// @notice Role of a service that relays what patients have signed.
    bytes32 internal constant CONSENT_SERVICE_ROLE = keccak256("medseal.consent-service");
    /// @notice Role of an auditor; the record is open to all who reach a node.
    bytes32 internal constant AUDITOR_ROLE = keccak256("medseal.auditor");
    /// @notice Role of an emergency account; may break the glass.
    bytes32 internal constant EMERGENCY_ROLE = keccak256("medseal.emergency");

    /// @notice Expiry of a grant without end.
    uint48 internal constant NEVER_MS = type(uint48).max;
    /// @notice Longest time that a grant to a researcher may still last.
    uint256 internal constant MAX_RESEARCH_GRANT_MS = 366 days * 1000;
    /// @notice How long a broken glass stays open.
    uint256 internal constant BREAK_GLASS_WINDOW_MS = 1 hours * 1000;

    uint256 private constant _EXISTS = 1 << 255;
    uint256 private constant _OWNER = 1;
    uint256 private constant _REGISTRAR = 2;
    uint256 private constant _RADIOLOGIST = 4;
    uint256 private constant _RESEARCHER = 8;
    uint256 private constant _CONSENT_SERVICE = 16;
    uint256 private constant _AUDITOR = 32;
    uint256 private constant _EMERGENCY = 64;

    // The roles of an account once more, in one word: one cold read tells all of them.
    mapping(address account => uint256) private _held;
    mapping(bytes32 subject => Subject) private _subjects;
    // The terms of a grant with `_EXISTS`; cleared by a revocation, which earns most of it back.
    mapping(bytes32 subject => mapping(address account => mapping(Action => uint256))) private _grants;
    mapping(bytes32 subject => mapping(address account => uint256 untilMs)) private _windows;

    /// @notice A grant was given; it replaces an older one for account, image and action.
    /// @param subject Commitment of the image.
    /// @param account Who may.
    /// @param terms Action, expiry and purpose in one word, see `grant`.
    event Granted(bytes32 indexed subject, address indexed account, uint256 terms);

    /// @notice A grant was taken back.
    /// @param subject Commitment of the image.
    /// @param account Who no longer may.
    /// @param action What.
    event Revoked(bytes32 indexed subject, address indexed account, Action action);

    /// @notice All grants of an account for an image were taken back, and its window closed.
    /// @param subject Commitment of the image.
    /// @param account Who no longer may.
    event RevokedAll(bytes32 indexed subject, address indexed account);

    /// @notice A clinician has opened an image in an emergency; somebody has to review it.
    /// @param subject Commitment of the image.
    /// @param account Who.
    /// @param untilMs First millisecond at which the window is over.
    /// @param reason Salted digest of the stated reason.
    event GlassBroken(
        bytes32 indexed subject,
        address indexed account,
        uint256 untilMs,
        bytes32 reason
    );

    /// @notice All rights to an image have ended for ever.
    /// @param subject Commitment of the image.
    event SubjectErased(bytes32 indexed subject);

    /// @notice A consent or a withdrawal that a patient has signed was relayed.
    /// @param subject Commitment of the image.
    /// @param given Whether the consent was given or withdrawn.
    /// @param consent Salted digest of what was signed.
    event ConsentRecorded(bytes32 indexed subject, bool given, bytes32 consent);

    /// @notice Only the owner or a registrar may do this.
    /// @param account Who tried.
    error NotRegistrar(address account);

    /// @notice Only a radiologist or an emergency account may break the glass.
    /// @param account Who tried.
    error NotClinical(address account);

    /// @notice Only a consent service may relay a consent.
    /// @param account Who tried.
    error NotConsentService(address account);

    /// @notice The terms of a grant have no such action.
    /// @param terms The word.
    error MalformedTerms(uint256 terms);

    /// @notice The image was erased: its rights cannot change any more.
    /// @param subject Commitment of the image.
    error ErasedSubject(bytes32 subject);

    /// @notice No such role.
    /// @param role Identifier of the role.
    error UnknownRole(bytes32 role);

    /// @notice A role is taken by the owner, not laid down; the delay of a transfer is fixed.
    error NotSupported();

    // --- Use -----------------------------------------------------------------------------------

    /// @notice Whether an account may act on an image, and why. What no rule allows is refused.
    /// @param account Who asks.
    /// @param subject Commitment of the image.
    /// @param action What.
    /// @param purpose Word that the account states, six bits a letter; 0 for none.
    /// @param atMs Time of the use.
    /// @return The first reason that fits.
    function decide(
        address account,
        bytes32 subject,
        Action action,
        uint192 purpose,
        uint64 atMs
    ) external view returns (Reason) {
        Subject memory known = _subjects[subject];
        if (known.erased) return Reason.Erased;
        uint256 held = _held[account];
        if (held & _OWNER != 0) return Reason.Owner;
        if (paused()) return Reason.Paused;
        Reason reason = _judge(
            _grants[subject][account][action],
            held & _RESEARCHER != 0,
            known.consent,
            purpose,
            atMs
        );
        if (reason == Reason.Granted) return reason;
        // A window serves the care of one person; handing an image on is no part of it.
        if (
            action != Action.Share &&
            atMs < _windows[subject][account] &&
            held & (_RADIOLOGIST | _EMERGENCY) != 0
        ) return Reason.BreakGlass;
        return reason;
    }

    /// @dev Whether a stored grant covers a use.
    function _judge(
        uint256 given,
        bool isResearcher,
        Consent consent,
        uint256 purpose,
        uint256 atMs
    ) private pure returns (Reason) {
        if (given == 0) return Reason.NoGrant;
        (uint256 expiresMs, uint256 bound) = _split(given);
        if (expiresMs != NEVER_MS && atMs >= expiresMs) return Reason.Expired;
        if (bound != purpose && bound != 0) return Reason.Purpose;
        if (!isResearcher) return Reason.Granted;
        if (bound == 0) return Reason.Purpose;
        if (expiresMs > atMs + MAX_RESEARCH_GRANT_MS) return Reason.Unbounded;
        if (consent == Consent.Withdrawn) return Reason.Withdrawn;
        return Reason.Granted;
    }

    /// @notice The grant of an account for an image and action, as it stands.
    /// @param subject Commitment of the image.
    /// @param account Whose.
    /// @param action What.
    /// @return exists Whether there is one.
    /// @return expiresMs First millisecond at which it is over, or `NEVER_MS`.
    /// @return purpose Word that each use must state, six bits a letter; 0 for any.
    function grantOf(
        bytes32 subject,
        address account,
        Action action
    ) external view returns (bool exists, uint48 expiresMs, uint192 purpose) {
        uint256 given = _grants[subject][account][action];
        (uint256 end, uint256 bound) = _split(given);
        return (given != 0, uint48(end), uint192(bound));
    }

    /// @dev Expiry and purpose of a word of terms.
    function _split(uint256 terms) private pure returns (uint256 expiresMs, uint256 purpose) {
        return ((terms >> 192) & NEVER_MS, uint192(terms));
    }

    /// @notice Until when the broken glass of an account stays open for an image.
    /// @param subject Commitment of the image.
    /// @param account Whose.
    /// @return untilMs First millisecond at which it is over; 0 where none was opened.
    function windowOf(bytes32 subject, address account) external view returns (uint256 untilMs) {
        return _windows[subject][account];
    }

    /// @notice What stands for an image.
    /// @param subject Commitment of the image.
    /// @return erased Whether its rights have ended for ever.
    /// @return consent What is known of the patient's consent to research.
    function subjectOf(bytes32 subject) external view returns (bool erased, Consent consent) {
        Subject memory known = _subjects[subject];
        return (known.erased, known.consent);
    }

    // --- Registrars ----------------------------------------------------------------------------

    /// @notice Let an account do something with an image; replaces an older grant.
    /// @dev Who may record a grant is checked here, what it allows only by `decide`: a grant for an
    /// erased image, or without purpose to a researcher, is recorded and allows nothing.
    /// @param subject Commitment of the image.
    /// @param account Who may.
    /// @param terms One word. Bits 0 to 191: the purpose that each use must state, six bits a
    /// letter, 0 for any. Bits 192 to 239: the first millisecond at which the grant is over, or
    /// `NEVER_MS`. Bits 240 to 255: the action.
    function grant(bytes32 subject, address account, uint256 terms) external {
        _requireRegistrar();
        uint256 action = terms >> 240;
        if (action > uint256(Action.Share)) revert MalformedTerms(terms);
        _grants[subject][account][Action(action)] = _EXISTS | terms;
        emit Granted(subject, account, terms);
    }

    /// @notice Take back what an account may do with an image.
    /// @param subject Commitment of the image.
    /// @param account Who no longer may.
    /// @param action What.
    function revoke(bytes32 subject, address account, Action action) external {
        _requireRegistrar();
        delete _grants[subject][account][action];
        emit Revoked(subject, account, action);
    }

    /// @notice Take back all that an account may do with an image, and close its window.
    /// @param subject Commitment of the image.
    /// @param account Who no longer may.
    function revokeAll(bytes32 subject, address account) external {
        _requireRegistrar();
        delete _grants[subject][account][Action.View];
        delete _grants[subject][account][Action.Classify];
        delete _grants[subject][account][Action.Share];
        delete _windows[subject][account];
        emit RevokedAll(subject, account);
    }

    function _requireRegistrar() internal view {
        if (_held[msg.sender] & (_OWNER | _REGISTRAR) == 0) revert NotRegistrar(msg.sender);
    }

    // --- Clinicians ----------------------------------------------------------------------------

    /// @notice Open an image to a clinician for an hour; on record, for later review.
    /// @dev The clinician sends it, or a gateway that has authenticated the clinician.
    /// @param subject Commitment of the image.
    /// @param account The clinician.
    /// @param reason Salted digest of the stated reason.
    function breakGlass(bytes32 subject, address account, bytes32 reason) external whenNotPaused {
        if (msg.sender != account) _requireRegistrar();
        if (_held[account] & (_RADIOLOGIST | _EMERGENCY) == 0) revert NotClinical(account);
        _requireLive(subject);
        uint256 untilMs = block.timestamp * 1000 + BREAK_GLASS_WINDOW_MS;
        // Time only grows, so a later window never ends before an earlier one.
        _windows[subject][account] = untilMs;
        emit GlassBroken(subject, account, untilMs, reason);
    }

    // --- Consent services ----------------------------------------------------------------------

    /// @notice Relay a consent or a withdrawal that a patient has signed.
    /// @param subject Commitment of the image.
    /// @param given Whether the consent is given or withdrawn.
    /// @param consent Salted digest of what was signed.
    function recordConsent(bytes32 subject, bool given, bytes32 consent) external {
        if (_held[msg.sender] & _CONSENT_SERVICE == 0) revert NotConsentService(msg.sender);
        _requireLive(subject);
        _subjects[subject].consent = given ? Consent.Given : Consent.Withdrawn;
        emit ConsentRecorded(subject, given, consent);
    }

    function _requireLive(bytes32 subject) private view {
        if (_subjects[subject].erased) revert ErasedSubject(subject);
    }

    // --- Owner ---------------------------------------------------------------------------------

    /// @notice End all rights to an image for ever.
    /// @param subject Commitment of the image.
    function erase(bytes32 subject) external onlyRole(DEFAULT_ADMIN_ROLE) {
        _requireLive(subject);
        _subjects[subject].erased = true;
        emit SubjectErased(subject);
    }

    /// @notice Refuse every use, anchor and break-glass until `unpause`; the owner still may.
    function pause() external onlyRole(DEFAULT_ADMIN_ROLE) {
        _pause();
    }

    /// @notice End the pause.
    function unpause() external onlyRole(DEFAULT_ADMIN_ROLE) {
        _unpause();
    }

    /// @notice Refused: the embedded rules have no such step, and a chain without owner is stuck.
    function renounceRole(
        bytes32,
        address
    ) public pure override {
        revert NotSupported();
    }

    /// @notice Refused: the day between offer and acceptance is part of the rules.
    function changeDefaultAdminDelay(uint48) public pure override {
        revert NotSupported();
    }

    // --- Roles in one word ---------------------------------------------------------------------

    function _grantRole(bytes32 role, address account) internal override returns (bool) {
        _held[account] |= _bit(role);
        return super._grantRole(role, account);
    }

    function _revokeRole(bytes32 role, address account) internal override returns (bool) {
        _held[account] &= ~_bit(role);
        return super._revokeRole(role, account);
    }

    function _bit(bytes32 role) private pure returns (uint256) {
        if (role == DEFAULT_ADMIN_ROLE) return _OWNER;
        if (role == REGISTRAR_ROLE) return _REGISTRAR;
        if (role == RADIOLOGIST_ROLE) return _RADIOLOGIST;
        if (role == RESEARCHER_ROLE) return _RESEARCHER;
        if (role == CONSENT_SERVICE_ROLE) return _CONSENT_SERVICE;
        if (role == AUDITOR_ROLE) return _AUDITOR;
        if (role == EMERGENCY_ROLE) return _EMERGENCY;
        revert UnknownRole(role);
    }
}
